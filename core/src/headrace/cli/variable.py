"""`headrace variable`: named JSON values that flows and tasks share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from headrace.cli.asking import confirm_delete
from headrace.cli.groups import Group
from headrace.cli.render import emit, fail, output_option
from headrace.cli.runs import call, collect, limit_option, local

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from headrace.model.variables import Variable

_COMPLETED_MAX = 200


def complete_variables(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Offer the names of the variables to the shell."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(one.name) for one in _variables(_COMPLETED_MAX) if one.name.startswith(typed)]


@click.group("variable", cls=Group)
def group() -> None:
    """Get, set and delete variables."""


@group.command("ls")
@limit_option(100)
@output_option
def list_variables(limit: int, output: str | None) -> None:
    """List the variables by name."""
    variables = _variables(limit)
    rows = [(one.name, _short(one.value), ", ".join(one.tags), local(one.updated)) for one in variables]
    emit(variables, output, (("name", "value", "tags", "updated"), rows))


@group.command()
@click.argument("name", shell_complete=complete_variables)
@output_option
def inspect(name: str, output: str | None) -> None:
    """Show a variable."""
    emit(_find(name), output)


@group.command()
@click.argument("name", shell_complete=complete_variables)
def get(name: str) -> None:
    """Print the value of a variable: text as it is, everything else as JSON."""
    value = _find(name).value
    click.echo(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


@group.command("set")
@click.argument("name", shell_complete=complete_variables)
@click.argument("value")
@click.option("--overwrite", is_flag=True, help="Replace the variable if it exists.")
@click.option("--tag", "tags", multiple=True, help="A tag of the variable. Repeatable.")
@output_option
def set_variable(name: str, value: str, overwrite: bool, tags: tuple[str, ...], output: str | None) -> None:
    """Set a variable. VALUE is JSON, or else text: 3 is a number, '"3"' and three are texts."""
    from pydantic import ValidationError

    from headrace.objects.variables import Variable as UserVariable

    try:
        UserVariable.set(name, _parsed(value), tags=list(tags), overwrite=overwrite)
    except ValidationError as error:
        fail("; ".join(one["msg"].removeprefix("Value error, ") for one in error.errors()))
    except ValueError:
        fail(f"Variable {name!r} exists already.", "Add --overwrite to replace it.")
    if output:
        emit(_find(name), output)
    else:
        click.echo(f"Set variable {name!r}.")


@group.command("unset")
@click.argument("name", shell_complete=complete_variables)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def unset(name: str, yes: bool) -> None:
    """Delete a variable."""
    from headrace.model.endpoints.variables import DELETE_VARIABLE_BY_NAME

    _find(name)
    confirm_delete(f"variable {name!r}", yes)
    call(DELETE_VARIABLE_BY_NAME, name=name)
    click.echo(f"Deleted variable {name!r}.")


group.add_command(unset, "delete")


def _variables(limit: int) -> list[Variable]:
    from headrace.model.endpoints.variables import FILTER_VARIABLES
    from headrace.model.variables import FilterVariables

    def fetch(offset: int, count: int) -> Sequence[Variable]:
        return call(FILTER_VARIABLES, FilterVariables(offset=offset, limit=count))

    return collect(limit, fetch)


def _find(name: str) -> Variable:
    from headrace.model.endpoints.variables import READ_VARIABLE_BY_NAME
    from headrace.model.errors import ObjectNotFound, near

    try:
        return call(READ_VARIABLE_BY_NAME, name=name)
    except ObjectNotFound:
        hint = near(name, [one.name for one in _variables(_COMPLETED_MAX)]) or "`headrace variable ls` lists them."
        fail(f"There is no variable {name!r}.", hint, 4)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_json)
    except ValueError:
        return text


def _no_json(word: str) -> Any:
    raise ValueError(word)  # NaN and Infinity are words here: JSON has no such numbers


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
