"""How log records become text."""

from headrace.engine.log_format import HeadraceFormatter, JsonFormatter, format_exception_info

__all__ = ["HeadraceFormatter", "JsonFormatter", "format_exception_info"]
