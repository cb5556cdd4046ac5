"""What is highlighted in the log on a terminal; classes to extend. Importing this imports rich."""

from headrace.engine.log_rich import (
    HeadraceConsoleHighlighter,
    LevelHighlighter,
    NameHighlighter,
    StateHighlighter,
    UrlHighlighter,
)

__all__ = ["HeadraceConsoleHighlighter", "LevelHighlighter", "NameHighlighter", "StateHighlighter", "UrlHighlighter"]
