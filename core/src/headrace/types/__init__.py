"""Types of fields that documented shapes use."""

from headrace.objects.fields import SecretDict

__all__ = ["SecretDict"]
