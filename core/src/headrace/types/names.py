"""Checks of names."""

from headrace.model.name_checks import (
    raise_on_name_alphanumeric_dashes_only,
    raise_on_name_alphanumeric_dashes_underscores_only,
    raise_on_name_alphanumeric_underscores_only,
)

__all__ = [
    "raise_on_name_alphanumeric_dashes_only",
    "raise_on_name_alphanumeric_dashes_underscores_only",
    "raise_on_name_alphanumeric_underscores_only",
]
