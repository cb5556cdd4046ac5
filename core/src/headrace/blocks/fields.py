"""Fields for blocks that keep their value to themselves."""

from headrace.objects.fields import SecretDict

__all__ = ["SecretDict"]
