"""`headrace config`: look at settings, and change those of the active profile."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from headrace.cli.groups import Group
from headrace.cli.render import emit, fail, output_option

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from headrace.settings.inspection import Line


@contextmanager
def errors_told() -> Generator[None]:
    """Turn errors of settings into a line on stderr and exit status 1; what to do is part of their message."""
    from headrace.model.errors import (
        ConfigurationError,
        MissingProfileError,
        ProfileSettingsValidationError,
        StoreError,
    )

    try:
        yield
    except ProfileSettingsValidationError as error:
        fail("\n".join(str(message) for _, message in error.errors))
    except (ConfigurationError, MissingProfileError, StoreError) as error:
        fail(str(error))


def complete_names(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Offer the variables of all settings to the shell."""
    from click.shell_completion import CompletionItem

    from headrace.settings.load import core_catalogue

    declared = core_catalogue().by_path.values()
    return [CompletionItem(one.variable, help=one.help) for one in declared if one.variable.startswith(typed.upper())]


@click.group("config", cls=Group)
def group() -> None:
    """View and change settings."""


@group.command("set")
@click.argument("settings", nargs=-1, required=True, metavar="NAME=VALUE...", shell_complete=complete_names)
@output_option
def set_settings(settings: tuple[str, ...], output: str | None) -> None:
    """Set settings in the active profile; NAME= without a value removes one."""
    from headrace.settings.declaration import is_free
    from headrace.settings.inspection import find_setting, set_in_environment
    from headrace.settings.profiles import update_current_profile

    changes: dict[str, str | None] = {}
    told: list[str] = []
    with errors_told():
        for pair in settings:
            name, separator, value = pair.partition("=")
            if not separator:
                raise click.UsageError(f"{pair!r} should be NAME=VALUE.")
            if is_free(name):
                changes[name] = value or None
                told.append(name)
                continue
            declared = find_setting(name)
            changes[declared.variable] = value or None
            told.append(declared.variable)
            overriding = set_in_environment(declared)
            if overriding:
                click.echo(f"Warning: {overriding} in the environment wins over the profile.", err=True)
        profile = update_current_profile(changes)
    if output:
        emit({"name": profile.name, "settings": masked(profile.to_environment_variables())}, output)
        return
    for name in told:
        click.echo(f"{'Unset' if changes[name] is None else 'Set'} {name} in profile {profile.name!r}.")


@group.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=complete_names)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@output_option
def unset(names: tuple[str, ...], yes: bool, output: str | None) -> None:
    """Remove settings from the active profile."""
    from headrace.settings.declaration import is_free
    from headrace.settings.inspection import find_setting
    from headrace.settings.profiles import load_current_profile, update_current_profile

    with errors_told():
        wanted = [name if is_free(name) else find_setting(name).variable for name in names]
        profile = load_current_profile()
        for name in wanted:
            if name not in profile.to_environment_variables():
                fail(f"{name} is not set in profile {profile.name!r}.", "`headrace config view` shows what is set.")
        if not yes and is_interactive():
            click.confirm(f"Remove {', '.join(wanted)} from profile {profile.name!r}?", abort=True)
        profile = update_current_profile(dict.fromkeys(wanted))
    if output:
        emit({"name": profile.name, "settings": masked(profile.to_environment_variables())}, output)
        return
    for name in wanted:
        click.echo(f"Unset {name} in profile {profile.name!r}.")


@group.command()
@click.option("--show-defaults/--hide-defaults", default=False, help="Also show what no source sets.")
@click.option("--show-sources/--hide-sources", default=True, help="Show where each value comes from.")
@click.option("--show-secrets/--hide-secrets", default=False, help="Show passwords and keys.")
@output_option
def view(show_defaults: bool, show_sources: bool, show_secrets: bool, output: str | None) -> None:
    """Show the settings in force."""
    from headrace.settings import get_current_settings
    from headrace.settings.inspection import lines_in_force
    from headrace.settings.profiles import current_profile_name

    with errors_told():
        lines = lines_in_force(show_defaults=show_defaults, show_secrets=show_secrets)
        profile = current_profile_name()
        settings = get_current_settings()
    if output in ("json", "yaml"):
        emit(
            {
                "profile": profile,
                "api_url": settings.api.url,
                "settings": {line.name: _line_data(line, show_sources) for line in lines},
            },
            output,
        )
    elif output:
        emit([{"name": line.name, **_line_data(line, show_sources)} for line in lines], output)
    else:
        connected = settings.api.url or f"the embedded database in {settings.home} (no API address is set)"
        click.echo(f"Connected to {connected}")
        click.echo(f"HEADRACE_PROFILE={profile!r}")
        for line in lines:
            click.echo(f"{line.name}={line.text!r}{_origin(line.source, line.where) if show_sources else ''}")


@group.command()
@output_option
def validate(output: str | None) -> None:
    """Check all sources, and give older names in the active profile their present ones."""
    from headrace.settings.inspection import findings, rename_old_names

    with errors_told():
        renamed = rename_old_names()
        found = findings()
    errors = [finding.message for finding in found if finding.is_error]
    if output:
        emit(
            {
                "valid": not errors,
                "errors": errors,
                "warnings": [finding.message for finding in found if not finding.is_error],
                "renamed": dict(renamed),
            },
            output,
        )
    else:
        for old, new in renamed:
            click.echo(f"Renamed {old} to {new} in the active profile.")
        for finding in found:
            if not finding.is_error:
                click.echo(f"Warning: {finding.message}", err=True)
        if not errors:
            click.echo("Configuration valid!")
    if errors:
        fail("\n".join(errors))


@group.command()
@click.argument("name", shell_complete=complete_names)
@click.option("--show-secrets/--hide-secrets", default=False, help="Show passwords and keys.")
@output_option
def explain(name: str, show_secrets: bool, output: str | None) -> None:
    """Tell what a setting means, its value, and every source that sets it."""
    from headrace.settings.inspection import explain as explained

    with errors_told():
        found = explained(name, show_secrets=show_secrets)
    declared, line = found.setting.declared, found.line
    data: dict[str, Any] = {
        "name": declared.variable,
        "path": declared.path,
        "help": declared.help,
        "type": declared.type_text,
        "is_secret": declared.is_secret,
        "aliases": list(declared.aliases),
        **_line_data(line, show_sources=True),
        "sources": [mention._asdict() for mention in found.mentions],
    }
    if output:
        emit(data, output)
        return
    click.echo(f"{declared.variable}={line.text!r}{_origin(line.source, line.where)}")
    click.echo(declared.help)
    click.echo(f"Type: {declared.type_text}. Key in headrace.toml: {declared.path}.")
    if declared.aliases:
        click.echo(f"Older names: {', '.join(declared.aliases)}.")
    if found.mentions:
        rows = [("wins" if one.wins else "", one.source, one.where or "", one.name, one.text) for one in found.mentions]
        emit(data, None, (("", "source", "where", "name", "value"), rows))


def is_interactive() -> bool:
    """True if somebody is there to answer: as `cli.prompt` says, else if both ends are a terminal."""
    import sys

    from headrace.model.errors import HeadraceException
    from headrace.settings import get_current_settings

    try:
        prompt = get_current_settings().cli.prompt
    except HeadraceException:  # a command that repairs settings must not need them
        prompt = None
    return sys.stdin.isatty() and sys.stdout.isatty() if prompt is None else prompt


def masked(variables: dict[str, str]) -> dict[str, str]:
    """Mask the secrets among variables."""
    from headrace.settings.load import core_catalogue
    from headrace.settings.values import MASK

    declared = core_catalogue().by_variable
    return {name: MASK if name in declared and declared[name].is_secret else text for name, text in variables.items()}


def _line_data(line: Line, show_sources: bool) -> dict[str, Any]:
    data: dict[str, Any] = {"value": line.value}
    return {**data, "source": line.source, "where": line.where} if show_sources else data


def _origin(source: str, where: str | None) -> str:
    return f" (from {source} {where!r})" if where else f" (from {source})"
