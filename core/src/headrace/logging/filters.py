"""Keeping credentials out of logs."""

from headrace.logs.secrets import ObfuscateApiKeyFilter, redact_substr

__all__ = ["ObfuscateApiKeyFilter", "redact_substr"]
