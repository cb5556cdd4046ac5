"""`headrace version`: the versions of headrace and of what it stands on."""

from __future__ import annotations

import os
import sys
from typing import Any, cast

import click

from headrace import __version__
from headrace.cli.render import emit, output_option


@click.command("version")
@click.option("--omit-integrations", is_flag=True, help="Leave out the installed integrations.")
@output_option
def command(omit_integrations: bool, output: str | None) -> None:
    """Show the versions of headrace, Python, the database and the integrations."""
    data = _versions()
    if omit_integrations:
        del data["integrations"]
    if output is not None:
        emit(data, output)
        return
    for name, value in data.items():
        if isinstance(value, dict):
            _print_part(name, cast("dict[str, str]", value))
        else:
            click.echo(f"{_title(name) + ':':<20}{value}")


def _print_part(name: str, values: dict[str, str]) -> None:
    click.echo(f"{_title(name)}:{'' if values else ' none'}")
    for key, value in values.items():
        shown = key if name == "integrations" else _title(key)
        click.echo(f"  {shown + ':':<18}{value}")


def _title(name: str) -> str:
    return {"os_arch": "OS/Arch"}.get(name, name.replace("_", " ").capitalize())


def _versions() -> dict[str, Any]:
    from headrace.settings import get_current_settings
    from headrace.settings.profiles import current_profile_name

    settings = get_current_settings()
    installed = _installed()
    return {
        "version": __version__,
        "python": sys.version.partition(" ")[0],
        "os_arch": f"{sys.platform}/{os.uname().machine}",
        "profile": current_profile_name(),
        "server": {"type": "server", "url": settings.api.url} if settings.api.url else {"type": "embedded", **_database(settings)},
        "pydantic": installed.get("pydantic", "not installed"),
        "integrations": {name: version for name, version in sorted(installed.items()) if name.startswith("headrace-")},
    }


def _database(settings: Any) -> dict[str, str]:
    if any(path.startswith("server.database.") for path in settings.state.found):
        url = without_password(settings.server.database.connection_url.get_secret_value())
    else:
        url = f"sqlite:///{settings.home}/headrace.db"  # the default, which it would take pydantic to read
    if not url.startswith("sqlite"):
        return {"database": url}
    import sqlite3

    return {"database": url, "sqlite": sqlite3.sqlite_version}


def without_password(url: str) -> str:
    """Return the address of a database as it may be shown."""
    scheme, _, rest = url.partition("://")
    login, at, place = rest.rpartition("@")
    user, colon, _ = login.partition(":")
    return f"{scheme}://{user}{':********' if colon else ''}{at}{place}"


def _installed() -> dict[str, str]:
    """Return the versions of the installed distributions by name, from the names of their metadata folders: nothing is imported."""
    found: dict[str, str] = {}
    for folder in sys.path:
        try:
            entries = os.listdir(folder or os.curdir)
        except OSError:
            continue
        for entry in entries:
            if entry.endswith(".dist-info"):
                name, _, version = entry.removesuffix(".dist-info").rpartition("-")
                found.setdefault(name.replace("_", "-").lower(), version)
    return found
