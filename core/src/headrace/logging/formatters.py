"""How log records become text."""

from headrace.logs.format import HeadraceFormatter, JsonFormatter, format_exception_info

__all__ = ["HeadraceFormatter", "JsonFormatter", "format_exception_info"]
