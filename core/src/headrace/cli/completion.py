"""`headrace completion`: commands and names completed by the shell."""

from __future__ import annotations

import click

from headrace.cli.render import fail


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script for SHELL: bash, zsh or fish.

    To use it, add this to the shell's start-up file: eval "$(headrace completion bash)"
    """
    from click.shell_completion import get_completion_class

    from headrace.cli.root import PROGRAM, root

    kind = get_completion_class(shell)
    if kind is None:
        fail(f"The installed click does not complete {shell}.", "Upgrade it: pip install -U click")
    click.echo(kind(root, {}, PROGRAM, f"_{PROGRAM.upper()}_COMPLETE").source())
