"""Addresses that may be called."""

from headrace.objects.urls import restricted_transport, validate_restricted_url

__all__ = ["restricted_transport", "validate_restricted_url"]
