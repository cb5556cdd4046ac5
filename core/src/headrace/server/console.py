"""What a server's process shows of its log. Configured here and not as runs are: a server runs none."""

from __future__ import annotations

import logging

from headrace.settings import get_current_settings


def log_to_stderr() -> None:
    """Write what the server and uvicorn log to stderr, from the setting `server.logging_level` on."""
    handler = logging.StreamHandler()
    handler.addFilter(lambda record: record.msg != "Application startup failed. Exiting.")  # why it failed is told by whoever ran it
    handler.setFormatter(logging.Formatter("%(asctime)s | %(levelname)-7s | %(name)s - %(message)s"))
    for name in ("headrace.server", "uvicorn"):
        logger = logging.getLogger(name)
        logger.setLevel(get_current_settings().server.logging_level)
        logger.handlers = [handler]
        logger.propagate = False
