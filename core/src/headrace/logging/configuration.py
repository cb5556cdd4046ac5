"""Configuring logging."""

from headrace.engine.log_config import configure as setup_logging
from headrace.engine.log_config import load_config as load_logging_config
from headrace.engine.log_config import setup as ensure_logging_setup

__all__ = ["ensure_logging_setup", "load_logging_config", "setup_logging"]
