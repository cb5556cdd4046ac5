"""What commands print: objects as JSON, YAML, lines or names, tables for people, and errors with a hint."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn, TypeVar, cast

import click

FORMATS = ("json", "yaml", "jsonl", "name")
Table = tuple[Sequence[str], Iterable[Sequence[object]]]
CommandT = TypeVar("CommandT", bound=Callable[..., Any])


class CommandFailed(click.ClickException):
    """A command that was refused or failed; shown as one line on stderr, and a hint."""

    def __init__(self, message: str, hint: str | None, code: int) -> None:
        super().__init__(message)
        self.hint = hint
        self.exit_code = code  # pyright: ignore[reportAttributeAccessIssue]  # click documents setting it so

    def show(self, file: Any = None) -> None:
        click.echo(f"Error: {self.message}", file=file, err=file is None)
        if self.hint:
            click.echo(f"Hint: {self.hint}", file=file, err=file is None)


def fail(message: str, hint: str | None = None, code: int = 1) -> NoReturn:
    """End the command: `message` and `hint` go to stderr, `code` is the exit status.

    1 refused, 2 wrong usage, 3 not permitted, 4 not found, 5 server fault, 7 unreachable.
    """
    raise CommandFailed(message, hint, code)


def yes_option(command: CommandT) -> CommandT:
    """Give a command the option `-y/--yes`, passed as `yes`: do it without asking."""
    return click.option("-y", "--yes", is_flag=True, help="Do it without asking.")(command)


def output_option(command: CommandT) -> CommandT:
    """Give a command the option `-o/--output`, passed as `output`; None is the form for people."""
    return click.option("-o", "--output", type=click.Choice(FORMATS), default=None, help="Print as data.")(command)


def emit(data: Any, output: str | None, table: Table | None = None) -> None:
    """Print an object or a list of them.

    `output` is one of `FORMATS`, never wrapped or coloured; None prints `table` (columns, rows) if there is one, else
    YAML. Objects may be models, dictionaries or plain values.
    """
    if output is None and table is not None:
        _print_table(table)
        return
    plain = _plain(data)
    items = cast("list[Any]", plain) if isinstance(plain, list) else [plain]
    if output == "json":
        click.echo(json.dumps(plain, indent=2, ensure_ascii=False))
    elif output == "jsonl":
        for item in items:
            click.echo(json.dumps(item, ensure_ascii=False))
    elif output == "name":
        for item in items:
            click.echo(_name_of(cast("dict[str, Any]", item)) if isinstance(item, dict) else str(item))
    else:
        import yaml

        click.echo(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True), nl=False)


def _name_of(item: dict[str, Any]) -> str:
    return str(item.get("name", item.get("id", "")))


def _plain(data: Any) -> Any:
    if isinstance(data, list | tuple):
        return [_plain(item) for item in cast("list[Any]", data)]
    if isinstance(data, dict):
        return {str(key): _plain(value) for key, value in cast("dict[Any, Any]", data).items()}
    if hasattr(data, "model_dump"):
        return data.model_dump(mode="json")
    if data is None or isinstance(data, str | int | float):
        return data
    from pydantic_core import to_jsonable_python

    return to_jsonable_python(data)


def _print_table(table: Table) -> None:
    columns, rows = table
    texts = [["" if cell is None else str(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _print_on_terminal(columns, texts)
        return
    lines = [[column.upper() for column in columns], *texts]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _print_on_terminal(columns: Sequence[str], rows: list[list[str]]) -> None:
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    table = RichTable(box=None, pad_edge=False)
    for index, column in enumerate(columns):
        name_or_id = index == 0 or column.lower() in ("id", "name")  # these are copied, so they are never cut
        table.add_column(column, no_wrap=name_or_id, overflow="ignore" if name_or_id else "fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)
