"""Placeholders `{{ name }}` in project files, steps and job templates."""

from headrace.deploy.templating import (
    Placeholder,
    PlaceholderType,
    apply_values,
    determine_placeholder_type,
    find_placeholders,
    resolve_block_document_references,
    resolve_variables,
)

__all__ = [
    "Placeholder",
    "PlaceholderType",
    "apply_values",
    "determine_placeholder_type",
    "find_placeholders",
    "resolve_block_document_references",
    "resolve_variables",
]
