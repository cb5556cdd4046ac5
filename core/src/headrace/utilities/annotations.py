"""Marks that a caller puts around an argument to say how the engine shall treat it."""

from headrace.data.annotations import BaseAnnotation, NotSet, allow_failure, freeze, opaque, quote, unmapped

__all__ = ["BaseAnnotation", "NotSet", "allow_failure", "freeze", "opaque", "quote", "unmapped"]
