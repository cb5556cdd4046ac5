"""The block for one secret value."""

from headrace.objects.system import Secret

__all__ = ["Secret"]
