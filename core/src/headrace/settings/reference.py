"""The reference page of settings, made from the declarations. `python -m headrace.settings.reference` prints it."""

from __future__ import annotations

from headrace.settings.declaration import Declaration, Group
from headrace.settings.tree.author import Level
from headrace.settings.tree.root import Settings
from headrace.settings.values import to_text

_HEAD = """# Settings

<!-- Made from the declarations in `headrace/settings/tree`. To make it anew, run in `core`:
     python -m headrace.settings.reference > docs/settings.md -->

A setting `a.b` is the variable `HEADRACE_A_B` in the environment, in `.env` and in profiles, and the key `b` of table
`[a]` in `headrace.toml` or `[tool.headrace.a]` in `pyproject.toml`. The first of these that sets it wins:

1. arguments in code (`temporary_settings`, `Settings(...)`)
2. environment variables
3. `.env`
4. `headrace.toml`
5. `pyproject.toml`, table `[tool.headrace]`
6. the active profile
7. the default

The three files are looked for in the working directory and its parents up to the root of the repository; outside a
repository in the working directory alone. The nearest of each counts. An empty variable counts as unset.
`$HEADRACE_HOME` and other settings may stand inside a value. Lists and sets are written with commas or as JSON,
durations as seconds, `2d`, `12h`, `HH:MM:SS` or ISO 8601 (`P7D`).

A profile is a named set of settings in `$HEADRACE_HOME/profiles.toml`. In use is the one of `headrace --profile NAME`,
which then wins over environment variables and files; else that of `HEADRACE_PROFILE`, else `active` in the file, else
`ephemeral`. Three are built in and can be replaced by profiles of the same name: `ephemeral` (sets nothing: runs are
kept in the embedded database), `local` (a server on this machine) and `test` (a database in memory). An unknown
profile or a broken file is an error. `HEADRACE_HOME` and `HEADRACE_PROFILES_PATH` cannot be in a profile.

Keys of the logging configuration are set by variables that spell their path, in profiles too:
`HEADRACE_LOGGING_LOGGERS_HEADRACE_FLOW_RUNS_LEVEL=ERROR`. Plugins' settings begin with `HEADRACE_INTEGRATIONS_`.

With `HEADRACE_COMPAT=true` settings are read under their Prefect names as well: `PREFECT_*` variables, `prefect.toml`
and `[tool.prefect]`, below the sources named for headrace and above profiles. Each such name is reported. Folders and
databases are never taken over, so that the two products do not share files.

`headrace config view` shows what is in force, `headrace config explain NAME` where a value comes from, and
`headrace config validate` what is wrong.
"""


def page() -> str:
    """Return the page as Markdown."""
    return _HEAD + "".join(_section(group) for group in _groups(Settings))


def _groups(group: type[Group]) -> list[type[Group]]:
    found = [group]
    for nested in group.settings_groups.values():
        found += [one for one in _groups(nested) if one not in found]
    return list(dict.fromkeys(found))


def _section(group: type[Group]) -> str:
    if not group.settings_declared:
        return ""
    title = f"`{group.settings_path}`" if group.settings_path else "General"
    about = (group.__doc__ or "").splitlines()[0] if group.settings_path else "What concerns every part."
    rows = "".join(_row(declared) for declared in group.settings_declared.values())
    return f"\n## {title}\n\n{about}\n\n| variable | type | default | meaning |\n| --- | --- | --- | --- |\n{rows}"


def _row(declared: Declaration) -> str:
    kind = "one of " + ", ".join(Level.__args__) if declared.type_text == "Level" else declared.type_text
    kind = kind.replace("SecretStr", "secret").replace("|", "\\|")
    bounds = "".join(f", {word} {bound:g}" for word, bound in (("at least", declared.ge), ("at most", declared.le)) if bound is not None)
    old = f" Older names: {', '.join(f'`{alias}`' for alias in declared.aliases)}." if declared.aliases else ""
    return f"| `{declared.variable}` | {kind}{bounds} | {_default(declared)} | {declared.help}{old} |\n"


def _default(declared: Declaration) -> str:
    if declared.shown is not None:
        return declared.shown
    return "none" if declared.default is None else f"`{to_text(declared.default)}`"


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201  # the program's output
