"""Helpers that the documentation names."""
