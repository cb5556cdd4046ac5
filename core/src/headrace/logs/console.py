"""The log on the terminal: plain text, with colours by ANSI codes when it is a terminal. rich only for those who ask for it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TextIO

from headrace.logs.secrets import redacted
from headrace.settings import get_current_settings
from headrace.settings.environment import colour_wish

if TYPE_CHECKING:
    from rich.highlighter import Highlighter

_RESET = "\x1b[0m"
_LEVELS = {10: "\x1b[2m", 20: "\x1b[36m", 30: "\x1b[33m", 40: "\x1b[31m", 50: "\x1b[1;31m"}
_STATES = {
    "Completed(": "\x1b[32m",
    "Failed(": "\x1b[31m",
    "Crashed(": "\x1b[33m",
    "Cancelled(": "\x1b[33m",
    "Cached(": "\x1b[1;32m",
}
_NAMES = {"flow_run_name": "\x1b[35m", "flow_name": "\x1b[1;35m", "task_run_name": "\x1b[34m", "task_name": "\x1b[1;34m"}
_ADDRESS = "\x1b[1;34m"


class HeadraceConsoleHandler(logging.Handler):
    """Write records to `stream`, by default to what `sys.stderr` is at that moment.

    On a terminal levels, states, names of runs and addresses are coloured, unless the setting `logging.colors` or `NO_COLOR` says no.
    A `highlighter` (of rich), `styles` (its style names: "log.email" → "magenta") or the setting `logging.markup` let rich draw.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        highlighter: type[Highlighter] | Highlighter | None = None,
        styles: Mapping[str, str] | None = None,
        level: int | str = logging.NOTSET,
    ) -> None:
        """Take records of at least `level`."""
        super().__init__(level)
        self._stream = stream
        self._highlighter = highlighter
        self._styles = dict(styles or {})
        self._seen: tuple[object, object, bool, bool] = (None, None, False, False)
        self._console: Any = None

    @property
    def stream(self) -> TextIO:
        """Where lines go now."""
        return self._stream if self._stream is not None else sys.stderr

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            text = redacted(self.format(record))
            stream = self.stream
            colours, rich = self._look(stream)
            if rich:
                self._draw(text, stream, colours)
                return
            stream.write((_coloured(text, record) if colours else text) + "\n")
            stream.flush()
        except RecursionError:
            raise
        except Exception:  # noqa: BLE001  # logging's own convention for what a handler cannot do
            self.handleError(record)

    def _look(self, stream: TextIO) -> tuple[bool, bool]:
        """Return whether to colour, and whether rich draws: asked again when the stream or the settings change."""
        settings = get_current_settings()
        if self._seen[0] is not stream or self._seen[1] is not settings:
            wish = colour_wish()
            colours = settings.logging.colors and (stream.isatty() if wish is None else wish)
            custom = self._highlighter is not None or bool(self._styles)
            self._seen = (stream, settings, colours, settings.logging.markup or (custom and colours))
            self._console = None
        return self._seen[2], self._seen[3]

    def _draw(self, text: str, stream: TextIO, colours: bool) -> None:
        if self._console is None:
            from headrace.logs.rich_console import make_console

            self._console = make_console(stream, self._highlighter, self._styles, colours)
        self._console.print(text, soft_wrap=True, markup=get_current_settings().logging.markup)

    def flush(self) -> None:
        """Let the stream write what it holds."""
        stream = self.stream
        if not stream.closed:
            stream.flush()


def _coloured(text: str, record: logging.LogRecord) -> str:
    level = record.levelname
    text = text.replace(level, f"{_LEVELS.get(record.levelno, '')}{level}{_RESET}", 1)
    fields = record.__dict__
    for field, code in _NAMES.items():
        name = fields.get(field)
        if name:
            text = text.replace(repr(name), f"{code}{name!r}{_RESET}", 1)
    for word, code in _STATES.items():
        if word in text:
            text = text.replace(word, f"{code}{word[:-1]}{_RESET}(", 1)
    if "://" in text:
        text = " ".join(f"{_ADDRESS}{part}{_RESET}" if "://" in part and "\n" not in part else part for part in text.split(" "))
    return text
