"""The errors of this room that the shared tree does not have."""

from __future__ import annotations

from headrace.model.errors import ConfigurationError


class InvalidSettingError(ConfigurationError, ValueError):
    """A setting has a value that it cannot take, or nobody knows the name. The message never holds a secret."""


class BrokenFileError(ConfigurationError):
    """A configuration file cannot be read or parsed. The message begins with the file and, if known, the line."""
