"""Tasks that produce assets."""

from headrace.engine.materialize import MaterializingTask, materialize

__all__ = ["MaterializingTask", "materialize"]
