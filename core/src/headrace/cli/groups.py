"""Groups of commands, whose help tells what each command does in a whole sentence."""

from __future__ import annotations

import click

SUMMARY_CHARACTERS_MAX = 200


class Group(click.Group):
    """A group of commands, and of groups like it."""

    group_class = type

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        shown = [(name, command) for name, command in found if command is not None and not command.hidden]
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.get_short_help_str(SUMMARY_CHARACTERS_MAX)) for name, command in shown])
