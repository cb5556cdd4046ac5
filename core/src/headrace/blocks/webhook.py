"""The block that calls any webhook."""

from headrace.objects.webhook import Webhook

__all__ = ["Webhook"]
