"""Blocks by their documented module paths."""
