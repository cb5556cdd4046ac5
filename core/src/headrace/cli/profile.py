"""`headrace profile`: named sets of settings, one of which is active."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from headrace.cli.config import errors_told, is_interactive, masked
from headrace.cli.groups import Group
from headrace.cli.render import emit, fail, output_option

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from headrace.settings import Profile, ProfilesCollection, Settings

_CONNECT_SECONDS_MAX = 5.0


def complete_profiles(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Offer the names of the profiles to the shell."""
    from click.shell_completion import CompletionItem

    from headrace.settings import load_profiles

    return [CompletionItem(name) for name in sorted(load_profiles().names) if name.startswith(typed)]


@click.group("profile", cls=Group)
def group() -> None:
    """Select and manage profiles."""


@group.command("ls")
@output_option
def list_profiles(output: str | None) -> None:
    """List the profiles; the one in use is marked."""
    from headrace.settings import load_profiles
    from headrace.settings.profiles import current_profile_name, is_built_in

    with errors_told():
        profiles = load_profiles()
        active = current_profile_name()
    data = [
        {"name": profile.name, "active": profile.name == active, "built_in": is_built_in(profile)}
        for profile in sorted(profiles, key=lambda profile: profile.name)
    ]
    rows = [(one["name"], "*" if one["active"] else "", "built in" if one["built_in"] else "") for one in data]
    emit(data, output, (("name", "active", ""), rows))


@group.command()
@click.argument("name")
@click.option("--from", "source", default=None, metavar="PROFILE", help="Copy the settings of this profile.")
@output_option
def create(name: str, source: str | None, output: str | None) -> None:
    """Create a profile."""
    from headrace.settings.profiles import Profile, editing_profiles, is_built_in

    with errors_told():
        with editing_profiles() as profiles:
            settings = dict(_find(profiles, source).settings) if source else {}
            if name in profiles and not is_built_in(profiles[name]):
                fail(f"Profile {name!r} exists already.", f"`headrace profile inspect {name}` shows it.")
            profile = Profile(name, settings)
            profiles.add_profile(profile)
    if output:
        emit({"name": name, "settings": masked(profile.to_environment_variables())}, output)
    else:
        click.echo(f"Created profile {name!r}. Use it with `headrace profile use {name}`.")


@group.command()
@click.argument("name", shell_complete=complete_profiles)
@output_option
def use(name: str, output: str | None) -> None:
    """Make a profile the active one, and tell whether its API answers."""
    from headrace.settings import use_profile
    from headrace.settings.environment import selected_profile
    from headrace.settings.profiles import editing_profiles

    with errors_told():
        with editing_profiles() as profiles:
            _find(profiles, name)
            profiles.set_active(name)
        with use_profile(name, include_current_context=False) as context:
            status, message = _connection(context.settings)
    if selected_profile() not in (None, name):
        click.echo(f"Warning: HEADRACE_PROFILE is set to {selected_profile()!r} and wins over this choice.", err=True)
    if output:
        emit({"name": name, "status": status, "api_url": context.settings.api.url, "message": message}, output)
    else:
        click.echo(f"Profile {name!r} is now active.")
        click.echo(message, err=status not in ("connected", "embedded"))


@group.command()
@click.argument("name", shell_complete=complete_profiles)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def delete(name: str, yes: bool) -> None:
    """Delete a profile that is not in use."""
    from headrace.settings import load_profiles
    from headrace.settings.profiles import current_profile_name, editing_profiles, is_built_in

    with errors_told():
        profile = _find(load_profiles(), name)
        if name == current_profile_name():
            fail(f"Profile {name!r} is in use, so it was not deleted.", "Use another first: `headrace profile use NAME`.")
        if is_built_in(profile):
            fail(f"Profile {name!r} is built in, so it cannot be deleted.")
        if not yes:
            if not is_interactive():
                fail(f"Profile {name!r} was not deleted, because nobody can be asked.", "Add --yes to delete it.", 2)
            click.confirm(f"Delete profile {name!r}?", abort=True)
        with editing_profiles() as profiles:
            _find(profiles, name)
            profiles.remove_profile(name)
    click.echo(f"Deleted profile {name!r}.")


@group.command()
@click.argument("name", shell_complete=complete_profiles)
@click.argument("new_name")
def rename(name: str, new_name: str) -> None:
    """Change the name of a profile."""
    from headrace.settings import load_profiles
    from headrace.settings.profiles import rename_profile

    with errors_told():
        _find(load_profiles(), name)
        try:
            rename_profile(name, new_name)
        except ValueError as error:
            fail(str(error))
    click.echo(f"Renamed profile {name!r} to {new_name!r}.")


@group.command()
@click.argument("name", required=False, shell_complete=complete_profiles)
@click.option("--show-secrets/--hide-secrets", default=False, help="Show passwords and keys.")
@output_option
def inspect(name: str | None, show_secrets: bool, output: str | None) -> None:
    """Show the settings of a profile, of the one in use if none is named."""
    from headrace.settings import load_current_profile, load_profiles

    with errors_told():
        profile = _find(load_profiles(), name) if name else load_current_profile()
    variables = profile.to_environment_variables()
    shown = variables if show_secrets else masked(variables)
    if output:
        emit({"name": profile.name, "settings": shown}, output)
    elif not shown:
        click.echo(f"Profile {profile.name!r} sets nothing.")
    else:
        for variable, text in shown.items():
            click.echo(f"{variable}={text!r}")


@group.command("populate-defaults")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def populate_defaults(yes: bool) -> None:
    """Write the built-in profiles into the file, to be changed there. Profiles in it stay as they are."""
    from headrace.settings.profiles import populate_defaults as populate

    with errors_told():
        changes = populate(write=False)
        if not changes:
            click.echo("The file has all built-in profiles already.")
            return
        click.echo(changes)
        if not yes:
            if not is_interactive():
                fail("Nothing was changed, because nobody can be asked.", "Add --yes to change the file.", 2)
            click.confirm("Change the file? What it is now is kept as profiles.toml.bak.", abort=True)
        populate(write=True)
    click.echo("Wrote the built-in profiles.")


def _find(profiles: ProfilesCollection, name: str) -> Profile:
    from headrace.model.errors import MissingProfileError

    try:
        return profiles[name]
    except MissingProfileError as error:
        fail(str(error), code=4)


def _connection(settings: Settings) -> tuple[str, str]:
    """Ask the API whether it is there. Returns a word for programs and a sentence for people."""
    url = settings.api.url
    if not url:
        return "embedded", f"No API address is set: runs are kept in the embedded database in {settings.home}."
    import httpx

    headers = {"Authorization": f"Bearer {settings.api.key.get_secret_value()}"} if settings.api.key else {}
    auth = None
    if settings.api.auth_string:
        user, _, password = settings.api.auth_string.get_secret_value().partition(":")
        auth = httpx.BasicAuth(user, password)
    try:
        answer = httpx.get(
            f"{url.rstrip('/')}/health",
            headers=headers,
            auth=auth,
            timeout=min(settings.api.request_timeout, _CONNECT_SECONDS_MAX),
            verify=not settings.api.tls_insecure_skip_verify,
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return "unreachable", f"The API at {url} cannot be reached: {error}. Is the server running?"
    if answer.status_code in (401, 403):
        return "refused", f"The API at {url} refuses the credentials. Check HEADRACE_API_AUTH_STRING or HEADRACE_API_KEY."
    if answer.status_code >= 500:
        return "server_error", f"The API at {url} has a fault: it answered {answer.status_code}."
    if answer.status_code != 200 or answer.text.strip() != "true":
        return "not_an_api", f"There is something at {url}, but not an API. Addresses of an API usually end in /api."
    return "connected", f"Connected to {url}."
