"""Shell commands in headrace flows. Names are imported when they are used, so that `import headrace_shell` costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headrace_shell.commands import ShellOperation, ShellProcess, shell_run_command

__all__ = ["ShellOperation", "ShellProcess", "shell_run_command"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from headrace_shell import commands

        return getattr(commands, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
