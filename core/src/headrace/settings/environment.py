"""The one door to the process environment: settings' variables, and the internal ones that runs are started with."""

from __future__ import annotations

import os

_PREFIX = "HEADRACE_"
_INTERNAL = "HEADRACE__"
_SELECTED_PROFILE = "HEADRACE_PROFILE"
_COMPAT = "HEADRACE_COMPAT"


def setting_variables() -> dict[str, str]:
    """Return all `HEADRACE_*` variables that are not empty, except the internal ones and those that choose what is read."""
    return {
        name: value
        for name, value in os.environ.items()
        if name.startswith(_PREFIX) and not name.startswith(_INTERNAL) and name not in (_SELECTED_PROFILE, _COMPAT) and value
    }


def selected_profile() -> str | None:
    """Return the profile that `HEADRACE_PROFILE` names, if it is set."""
    return os.environ.get(_SELECTED_PROFILE) or None


def reads_prefect() -> bool:
    """True if `HEADRACE_COMPAT` asks for settings under their `PREFECT_*` names as well."""
    return os.environ.get(_COMPAT, "").lower() not in ("", "0", "false", "no", "off")


def prefect_variables() -> dict[str, str]:
    """Return all `PREFECT_*` variables that are not empty."""
    return {name: value for name, value in os.environ.items() if name.startswith("PREFECT_") and value}


def internal_variable(name: str) -> str | None:
    """Return an internal variable, named without its prefix: `FLOW_RUN_ID` is `HEADRACE__FLOW_RUN_ID`."""
    return os.environ.get(_INTERNAL + name) or None


def internal_name(name: str) -> str:
    """Return the full name of an internal variable, to start a process with."""
    return _INTERNAL + name


def runtime_override(part: str, attribute: str) -> str | None:
    """Return the text that replaces an attribute of `headrace.runtime`, as `("flow_run", "name")`; None if there is none."""
    return runtime_overrides(part).get(attribute)


def runtime_overrides(part: str) -> dict[str, str]:
    """Return all replaced attributes of one part (`flow_run`, `task_run`, `deployment`) by lower-case name."""
    prefix = f"{_INTERNAL}RUNTIME__{part.upper()}__"
    return {name.removeprefix(prefix).lower(): value for name, value in os.environ.items() if name.startswith(prefix)}


def colour_wish() -> bool | None:
    """Return what the user wants of colours in any program: False by `NO_COLOR`, True by `FORCE_COLOR`, None without a wish."""
    if os.environ.get("NO_COLOR"):
        return False
    return True if os.environ.get("FORCE_COLOR") else None
