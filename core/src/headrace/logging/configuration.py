"""Configuring logging."""

from headrace.logs.config import configure as setup_logging
from headrace.logs.config import load_config as load_logging_config
from headrace.logs.config import setup as ensure_logging_setup

__all__ = ["ensure_logging_setup", "load_logging_config", "setup_logging"]
