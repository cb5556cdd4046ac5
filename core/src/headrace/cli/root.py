"""The root command: options before the command, finding commands by table, and what each outcome exits with."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from headrace.cli.exits import INTERRUPTED, SIGNALLED, USAGE, report
from headrace.cli.table import ALIASES, COMMANDS

if TYPE_CHECKING:
    from headrace.plugin.offers import Offer

PROGRAM = "headrace"

HELP_COLUMNS_MAX = 120
"""Help is as wide as the terminal, up to this."""


class Options:
    """What is known of a command line before its command runs."""

    def __init__(self, asks_for_help: bool = False) -> None:
        self.debug = False
        self.asks_for_help = asks_for_help


class Root(click.Group):
    """The group of all commands, each imported when it is called. Help is printed from the table."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS, *(offer.name for offer in _plugin_offers())]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        line = COMMANDS.get(ALIASES.get(cmd_name, cmd_name))
        if line is not None:
            module, _, attribute = line.target.partition(":")
            return getattr(import_module(f"{__package__}.{module}"), attribute)
        if any(cmd_name in offer.names for offer in _plugin_offers()):
            return _plugin_command(cmd_name)
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line.help) for name, line in COMMANDS.items()])
        offers = _plugin_offers()
        if offers:
            with formatter.section("Commands of plugins"):
                formatter.write_dl([(offer.name, offer.summary) for offer in offers])

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0] if args else ""
        if name and not name.startswith("-") and self.get_command(ctx, name) is None:
            raise _no_such_command(name, [*self.list_commands(ctx), *ALIASES], ctx)
        return super().resolve_command(ctx, args)


def _plugin_offers() -> tuple[Offer, ...]:
    """Return the commands that plugins offer. Only where plugins are installed, their offers and the settings are read."""
    from headrace.plugin.discovery import discover

    if not discover():
        return ()
    from headrace.plugin import Kind, get_registry

    return get_registry().offers(Kind.COMMAND)


def _plugin_command(name: str) -> click.Command:
    from headrace.plugin import Kind, get_registry

    found = get_registry().resolve(Kind.COMMAND, name)
    if isinstance(found, click.Command):
        return found
    plugin = get_registry().provider(Kind.COMMAND, name)
    raise click.ClickException(
        f"The command {name!r} of {plugin.distribution} is a {type(found).__name__}, but it must be a click command. Report this to its author."
    )


def _print_version(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        from headrace import __version__

        click.echo(__version__)
        context.exit()


WITHOUT_HOOKS = frozenset({"completion", "config", "experimental", "plugins", "profile", "version"})
"""Commands that mend things must work when a plugin's startup hook does not, so plugins' hooks are not run for them."""


@click.group(
    PROGRAM,
    cls=Root,
    no_args_is_help=True,
    subcommand_metavar="COMMAND [ARGS]...",
    context_settings={"max_content_width": HELP_COLUMNS_MAX},
)
@click.option("-p", "--profile", metavar="NAME", default=None, help="Use this profile; it wins over environment variables.")
@click.option("--prompt/--no-prompt", "prompt", default=None, help="Ask questions, or never do; by default only on a terminal.")
@click.option("--debug", is_flag=True, help="Show the whole traceback of an error.")
@click.option("-v", "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Print the version and exit.")
@click.pass_context
def root(context: click.Context, profile: str | None, prompt: bool | None, debug: bool) -> None:
    """Run Python flows durably, and look at what they did."""
    if debug:
        context.ensure_object(Options).debug = True
    if profile is not None:
        from headrace.settings import start_with_profile

        start_with_profile(profile)
    if prompt is not None:
        from headrace.settings import temporary_settings

        context.with_resource(temporary_settings({"cli.prompt": prompt}))
    if context.invoked_subcommand not in WITHOUT_HOOKS and not context.ensure_object(Options).asks_for_help:
        from headrace.plugin.startup import run_once

        run_once()


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit status; whatever goes wrong is told on stderr. See `exits` for the statuses."""
    options = Options(asks_for_help="--help" in arguments)
    try:
        outcome: Any = root.main(list(arguments), prog_name=PROGRAM, standalone_mode=False, obj=options)
    except click.UsageError as error:
        _show_usage_error(error)
        return USAGE
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort as error:
        if isinstance(error.__cause__, KeyboardInterrupt):
            return INTERRUPTED
        click.echo("Aborted: nothing was changed.", err=True)
        return 1
    except Exception as error:  # noqa: BLE001  # the border of the process: told to the user, with a status of its own
        return report(error, debug=options.debug)
    except BaseException as error:
        from headrace.model.errors import TerminationSignal

        if isinstance(error, TerminationSignal):
            return SIGNALLED + error.signal
        raise
    return outcome if type(outcome) is int else 0


def _show_usage_error(error: click.UsageError) -> None:
    message = error.format_message()
    context = error.ctx
    path = context.command_path if context is not None else PROGRAM
    if context is not None and isinstance(context.command, click.Group) and "Did you mean" not in message:
        group = context.command
        quoted = message.split("'")
        if message.startswith("No such command") and len(quoted) > 1:
            message = _no_such_command(quoted[1], group.list_commands(context), context).message
    click.echo(f"Error: {message}", err=True)
    click.echo(f"Hint: `{path} --help` tells what it takes.", err=True)


def _no_such_command(name: str, choices: Sequence[str], context: click.Context) -> click.UsageError:
    from headrace.model.errors import near

    return click.UsageError(f"No such command {name!r}. {near(name, choices)}".rstrip(), context)
