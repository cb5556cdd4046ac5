"""Variables: named JSON values that flows and tasks share."""

from headrace.objects.variables import Variable

__all__ = ["Variable"]
