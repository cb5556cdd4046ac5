"""Small functions for dbt's files, arguments and names. Nothing here imports dbt before it is called."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

KEY_LENGTH_MAX = 512
"""How long the key of an asset may be."""

_SECRET_PREFIX = "DBT_ENV_SECRET_"  # dbt keeps the values of such variables out of its logs, and allows them in profiles.yml alone
_NOT_IN_KEYS = re.compile(r"[\n\r\t\0 #?&%\"'<>\[\]{}|\\^`]")
_SHORT = {
    "-s": "--select", "-m": "--select", "--model": "--select", "--models": "--select", "-t": "--target", "-f": "--full-refresh",
    "-d": "--debug", "-x": "--fail-fast", "-q": "--quiet", "-o": "--output",
}  # fmt: skip


def find_profiles_dir() -> Path:
    """Return the directory of profiles.yml: `DBT_PROFILES_DIR`, else this directory if it has the file, else `~/.dbt`."""
    named = os.environ.get("DBT_PROFILES_DIR")
    if named:
        return Path(named)
    here = Path.cwd()
    return here if (here / "profiles.yml").is_file() else Path.home() / ".dbt"


def read_profiles(profiles_dir: Path) -> dict[str, Any]:
    """Return the contents of profiles.yml, Jinja as it stands. Raises `ValueError` when there is no such file, or it is no mapping."""
    import yaml

    file = profiles_dir.expanduser() / "profiles.yml"
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"No profiles.yml found at {file}. Write one there, or say by profiles_dir or DBT_PROFILES_DIR where it is.") from None
    except yaml.YAMLError as error:
        raise ValueError(f"{file} is no valid YAML: {_place(error)}. Values that begin with {{{{ must be quoted.") from None
    if not isinstance(content, dict):
        raise ValueError(f"{file} must be a mapping of profiles.")  # noqa: TRY004  # the file is wrong, not the code
    return cast("dict[str, Any]", content)


def _place(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)  # the whole text would show a part of the file, maybe a password
    where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
    return f"{getattr(error, 'problem', None) or 'it cannot be read'}{where}"


def env_var_call(placeholder: str, value: Any) -> tuple[str, str, str]:
    """Return name and value of the environment variable that carries a value to dbt, and the Jinja that reads it there as the type that it has."""
    words = re.sub(r"[^A-Z0-9]+", "_", placeholder.strip("{} ").upper()).strip("_")
    mark = hashlib.sha256(placeholder.encode()).hexdigest()[:6]
    if isinstance(value, str):
        name = f"{_SECRET_PREFIX}{words}_{mark}"
        return name, value, f"{{{{ env_var('{name}') }}}}"
    name = f"HEADRACE_DBT_{words}_{mark}"  # dbt passes what is secret on as it is, without filters
    kind = "as_bool" if isinstance(value, bool) else "as_number" if isinstance(value, int | float) else "as_native"
    return name, str(value), f"{{{{ env_var('{name}') | {kind} }}}}"


def replace_with_env_var_call(placeholder: str, value: Any) -> str:
    """Put a value into an environment variable and return the Jinja by which dbt reads it: `{{ env_var('…') }}`.

    `placeholder` names the variable. So no file and no argument holds the value, and dbt keeps texts out of its logs.
    """
    name, text, call = env_var_call(placeholder, value)
    os.environ[name] = text
    return call


def format_asset_name(relation_name: str) -> str:
    """Return the name of a relation without quotes: `"dev"."main"."orders"` becomes `dev.main.orders`."""
    return re.sub(r"[\"'`\[\]]", "", relation_name)


def format_resource_id(adapter_type: str, relation_name: str) -> str:
    """Return the key of the asset that a relation is, as `duckdb://dev/main/orders`.

    Quotes and what a key may not hold are dropped; a key that is too long is cut.
    """
    path = _NOT_IN_KEYS.sub("", format_asset_name(relation_name).replace(".", "/"))
    return f"{re.sub(r'[^a-z0-9]', '', adapter_type.lower())}://{path}"[:KEY_LENGTH_MAX]


def long_options(args: Sequence[str]) -> set[str]:
    """Return the options in `args` by their long names, as `--select`, in whichever form they are given; `--no-x` counts as `--x`."""
    words = [word.partition("=")[0] for word in args if word.startswith("-")]
    named = [_SHORT.get(word, word) for word in words]
    return {f"--{name[5:]}" if name.startswith("--no-") else name for name in named}


def kwargs_to_args(kwargs: Mapping[str, Any], args: Sequence[str] | None = None) -> list[str]:
    """Return keyword arguments as words of dbt's command line, after `args`, which win where both give the same.

    True becomes `--name`, False `--no-name` (nothing where dbt has no such option), None nothing, a sequence several values, a mapping JSON.
    """
    words = list(args or ())
    given = long_options(words)
    for name, value in kwargs.items():
        option = f"--{name.replace('_', '-')}"
        if value is None or _SHORT.get(option, option) in given:
            continue
        if isinstance(value, bool):
            words += [option] if value else _negation(name)
        elif isinstance(value, Mapping):
            words += [option, json.dumps(value, default=str)]
        elif isinstance(value, list | tuple | set | frozenset):
            words += [option, *map(str, cast("Sequence[Any]", value))]
        else:
            words += [option, str(getattr(value, "value", value))]
    return words


def _negation(name: str) -> list[str]:
    from headrace_dbt.sdk import cli

    for command in (cli, *cli.commands.values()):
        for parameter in command.params:
            if parameter.name == name:
                return list(parameter.secondary_opts[:1])
    return [f"--no-{name.replace('_', '-')}"]


def options_of(command: str) -> set[str]:
    """Return the names of the options that a command takes, as `target_path`; none for what is no command."""
    import click

    from headrace_dbt.sdk import cli

    found: click.Command | None = cli if command else None
    for word in command.split():
        found = found.commands.get(word) if isinstance(found, click.Group) else None
    return {one.name for one in found.params if one.name} if found is not None else set()


def command_of(args: Sequence[str]) -> str:
    """Return the command in words for dbt's command line, as `build` in `["--log-level", "debug", "build", "-s", "x"]`; "" if there is none.

    Commands of two words come as one text: `source freshness`, `docs generate`.
    """
    import click

    from headrace_dbt.sdk import cli

    takes_value = {word for one in cli.params if isinstance(one, click.Option) and not one.is_flag for word in one.opts}
    skip, found = False, ""
    for word in args:
        if skip:
            skip = False
        elif word.startswith("-"):
            skip = word in takes_value
        elif found:
            return f"{found} {word}"
        elif isinstance(cli.commands.get(word), click.Group):
            found = word
        else:
            return word
    return found
