"""Emitting events."""

from headrace.objects.events import emit_event

__all__ = ["emit_event"]
