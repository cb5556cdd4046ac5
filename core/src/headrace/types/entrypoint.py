"""Kinds of entrypoints."""

from headrace.model.entrypoints import EntrypointType

__all__ = ["EntrypointType"]
