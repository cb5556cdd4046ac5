"""Where log records go: to the terminal, and to the runs that they belong to."""

from headrace.logs.console import HeadraceConsoleHandler
from headrace.logs.handlers import APILogHandler, WorkerAPILogHandler, emit_api_log, set_api_log_sink

__all__ = ["APILogHandler", "HeadraceConsoleHandler", "WorkerAPILogHandler", "emit_api_log", "set_api_log_sink"]
