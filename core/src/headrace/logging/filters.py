"""Keeping credentials out of logs."""

from headrace.engine.log_secrets import ObfuscateApiKeyFilter, redact_substr

__all__ = ["ObfuscateApiKeyFilter", "redact_substr"]
