"""`headrace experimental plugins diagnose`: the documented path to a command that has moved."""

from __future__ import annotations

import click

from headrace.cli import plugins
from headrace.cli.groups import Group


@click.group("experimental", cls=Group, no_args_is_help=True)
def group() -> None:
    """The commands of `plugins` under their documented, older name."""


group.add_command(plugins.group, "plugins")
