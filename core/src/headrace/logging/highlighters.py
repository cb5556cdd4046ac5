"""What is highlighted in the log on a terminal; classes to extend. Importing this imports rich."""

from headrace.logs.rich_console import (
    HeadraceConsoleHighlighter,
    LevelHighlighter,
    NameHighlighter,
    StateHighlighter,
    UrlHighlighter,
)

__all__ = ["HeadraceConsoleHighlighter", "LevelHighlighter", "NameHighlighter", "StateHighlighter", "UrlHighlighter"]
