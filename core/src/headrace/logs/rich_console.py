"""Highlighters and styles of the log for those who change them. The only module of the log that imports rich."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TextIO

from rich.console import Console
from rich.highlighter import Highlighter, RegexHighlighter
from rich.style import Style
from rich.theme import Theme

DEFAULT_STYLES = {
    "log.web_url": "bold blue",
    "log.local_url": "bold blue",
    "log.debug_level": "dim",
    "log.info_level": "cyan",
    "log.warning_level": "yellow",
    "log.error_level": "red",
    "log.critical_level": "bold red",
    "log.completed_state": "green",
    "log.cancelled_state": "yellow",
    "log.failed_state": "red",
    "log.crashed_state": "yellow",
    "log.cached_state": "bold green",
    "log.flow_run_name": "magenta",
    "log.flow_name": "bold magenta",
    "log.task_run_name": "blue",
    "log.task_name": "bold blue",
}


class _LogHighlighter(RegexHighlighter):
    base_style = "log."
    highlights: list[str] = []  # type: ignore[reportIncompatibleVariableOverride]  # documented: subclasses add lists to it


class LevelHighlighter(_LogHighlighter):
    """Style the levels of records."""

    highlights = [
        r"(?P<debug_level>\bDEBUG\b)",
        r"(?P<info_level>\bINFO\b)",
        r"(?P<warning_level>\bWARNING\b)",
        r"(?P<error_level>\bERROR\b)",
        r"(?P<critical_level>\bCRITICAL\b)",
    ]


class UrlHighlighter(_LogHighlighter):
    """Style addresses of the web and of local files."""

    highlights = [r"(?P<web_url>\b(?:https?|wss?)://[^\s'\"]+)", r"(?P<local_url>\bfile://[^\s'\"]+)"]


class NameHighlighter(_LogHighlighter):
    """Style the names of flows, tasks and their runs."""

    highlights = [
        r"(?i)(?P<flow_run_name>(?<=flow run ')[^']*(?='))",
        r"(?i)(?P<flow_name>(?<=flow ')[^']*(?='))",
        r"(?i)(?P<task_run_name>(?<=task run ')[^']*(?='))",
        r"(?i)(?P<task_name>(?<=task ')[^']*(?='))",
    ]


class StateHighlighter(_LogHighlighter):
    """Style the names of final states."""

    highlights = [
        r"(?P<completed_state>\bCompleted\b)",
        r"(?P<cancelled_state>\bCancelled\b)",
        r"(?P<failed_state>\bFailed\b)",
        r"(?P<crashed_state>\bCrashed\b)",
        r"(?P<cached_state>\bCached\b)",
    ]


class HeadraceConsoleHighlighter(_LogHighlighter):
    """Style everything that the others do. Extend it by adding to `highlights`; each named group takes the style `log.<name>`."""

    highlights = [
        *LevelHighlighter.highlights,
        *UrlHighlighter.highlights,
        *NameHighlighter.highlights,
        *StateHighlighter.highlights,
    ]


def make_console(stream: TextIO, highlighter: type[Highlighter] | Highlighter | None, styles: Mapping[str, str], colours: bool) -> Console:
    """Return a console of rich on `stream`: with colours or without, never wrapping what it prints."""
    chosen = highlighter or HeadraceConsoleHighlighter
    theme: dict[str, str | Style] = {**DEFAULT_STYLES, **styles}
    return Console(
        file=stream,
        highlighter=chosen() if isinstance(chosen, type) else chosen,
        theme=Theme(theme, inherit=True),
        force_terminal=colours,
        no_color=not colours,
        emoji=False,
    )
