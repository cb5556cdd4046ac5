"""Invented names, and names that must not be shown."""

from headrace.model.names import generate_slug
from headrace.model.obscure import obfuscate, obfuscate_string

__all__ = ["generate_slug", "obfuscate", "obfuscate_string"]
