"""What headrace-shell offers."""

from __future__ import annotations

from headrace.plugin import Offer, hookimpl

HEADRACE_PLUGIN_API_REQUIRES = ">=0.1,<1"


@hookimpl
def headrace_blocks() -> list[Offer]:
    """Offer the block that holds shell commands."""
    return [
        Offer(
            "shell-operation",
            "headrace_shell.commands:ShellOperation",
            "Shell commands that run one after the other in one script",
        )
    ]
