"""Variables: made, read, changed, deleted, listed."""

from __future__ import annotations

from uuid import UUID

from headrace.model import clock, ids
from headrace.model.endpoints import variables as endpoints
from headrace.model.errors import ObjectAlreadyExists, ObjectNotFound, StoreConflict
from headrace.model.variables import (
    CountVariables,
    FilterVariables,
    Variable,
    VariableCreate,
    VariableFilter,
    VariableSort,
    VariableUpdate,
)
from headrace.operations.conditions import Conditions, elements
from headrace.operations.events.lifecycle import tell
from headrace.operations.pages import page_limit
from headrace.operations.table import Operation
from headrace.store.codec import json_in, json_out
from headrace.store.database import Row, Transaction

_SELECT = "SELECT id, created, updated, name, value, tags FROM variable"
_ORDERS = {
    VariableSort.CREATED_DESC: "created DESC, id DESC",
    VariableSort.UPDATED_DESC: "updated DESC, id DESC",
    VariableSort.NAME_ASC: "name",
    VariableSort.NAME_DESC: "name DESC",
}


def _variable(row: Row) -> Variable:
    return Variable(
        id=UUID(bytes=row[0]),
        created=clock.from_us(row[1]),
        updated=clock.from_us(row[2]),
        name=row[3],
        value=json_out(row[4]),
        tags=json_out(row[5]) or [],
    )


def create_variable(tx: Transaction, body: VariableCreate) -> Variable:
    """Save a new variable. Raises `ObjectAlreadyExists`."""
    variable_id, now = ids.new(), clock.now()
    try:
        tx.sql_count(
            "INSERT INTO variable (id, created, updated, name, value, tags) VALUES (?, ?, ?, ?, ?, ?)",
            (variable_id.bytes, clock.to_us(now), clock.to_us(now), body.name, json_in(body.value), json_in(body.tags)),
        )
    except StoreConflict as error:
        raise ObjectAlreadyExists(f"A variable with the name {body.name!r} already exists.") from error
    made = read_variable(tx, id=variable_id)
    tell(tx, "variable", "created", made)
    return made


def read_variable(tx: Transaction, *, id: UUID) -> Variable:
    """Return a variable. Raises `ObjectNotFound`."""
    return _found(tx, "id", id.bytes)


def read_variable_by_name(tx: Transaction, *, name: str) -> Variable:
    """Return the variable of that name. Raises `ObjectNotFound`."""
    return _found(tx, "name", name)


def _found(tx: Transaction, column: str, value: bytes | str) -> Variable:
    row = tx.sql_one(f"{_SELECT} WHERE {column} = ?", (value,))
    if row is None:
        raise ObjectNotFound("Variable not found.")
    return _variable(row)


def update_variable(tx: Transaction, body: VariableUpdate, *, id: UUID) -> None:
    """Change what is given of a variable. Raises `ObjectNotFound`, `ObjectAlreadyExists` for a name that is taken."""
    _update(tx, body, "id", id.bytes)


def update_variable_by_name(tx: Transaction, body: VariableUpdate, *, name: str) -> None:
    """Change what is given of the variable of that name; see `update_variable`."""
    _update(tx, body, "name", name)


def _update(tx: Transaction, body: VariableUpdate, column: str, value: bytes | str) -> None:
    changes: dict[str, object] = {"updated": clock.to_us(clock.now())}
    given = body.model_fields_set
    if "name" in given and body.name is not None:
        changes["name"] = body.name
    if "value" in given:
        changes["value"] = json_in(body.value)
    if "tags" in given:
        changes["tags"] = json_in(body.tags or [])
    columns = ", ".join(f"{name} = ?" for name in changes)
    try:
        changed = tx.sql_count(f"UPDATE variable SET {columns} WHERE {column} = ?", (*changes.values(), value))
    except StoreConflict as error:
        raise ObjectAlreadyExists(f"A variable with the name {body.name!r} already exists.") from error
    if not changed:
        raise ObjectNotFound("Variable not found.")
    if tx.caller.is_server:
        tell(tx, "variable", "updated", _found(tx, column, body.name if column == "name" and body.name else value))


def delete_variable(tx: Transaction, *, id: UUID) -> None:
    """Delete a variable. Raises `ObjectNotFound`."""
    _delete(tx, "id", id.bytes)


def delete_variable_by_name(tx: Transaction, *, name: str) -> None:
    """Delete the variable of that name. Raises `ObjectNotFound`."""
    _delete(tx, "name", name)


def _delete(tx: Transaction, column: str, value: bytes | str) -> None:
    tell(tx, "variable", "deleted", _found(tx, column, value))
    tx.sql_count(f"DELETE FROM variable WHERE {column} = ?", (value,))


def _conditions(wanted: VariableFilter | None) -> tuple[str, list[object]]:
    found = Conditions()
    if wanted is None:
        return found.joined(), []
    if wanted.id:
        found.any_of("id", wanted.id.any_)
    if wanted.name:
        name = Conditions()
        name.any_of("name", wanted.name.any_)
        name.contains("name", wanted.name.like_)
        found.add(name.joined(), *name.values)
    if wanted.tags:
        tags = Conditions()
        for tag in wanted.tags.all_ or ():
            tags.add(f"EXISTS (SELECT 1 FROM {elements('tags', 't')} WHERE t.value = ?)", tag)
        if wanted.tags.is_null_ is not None:
            tags.add(f"CAST(tags AS TEXT) {'=' if wanted.tags.is_null_ else '<>'} '[]'")
        found.add(tags.joined(wanted.tags.operator), *tags.values)
    return found.joined(wanted.operator), found.values


def filter_variables(tx: Transaction, body: FilterVariables) -> list[Variable]:
    """List variables."""
    where, values = _conditions(body.variables)
    rows = tx.sql(f"{_SELECT} WHERE {where} ORDER BY {_ORDERS[body.sort]} LIMIT ? OFFSET ?", (*values, page_limit(body.limit), body.offset))
    return [_variable(row) for row in rows]


def count_variables(tx: Transaction, body: CountVariables) -> int:
    """Count variables."""
    where, values = _conditions(body.variables)
    return tx.sql(f"SELECT COUNT(*) FROM variable WHERE {where}", values)[0][0]


OPERATIONS = {
    endpoints.CREATE_VARIABLE: Operation(create_variable, writes=True),
    endpoints.READ_VARIABLE: Operation(read_variable, writes=False),
    endpoints.READ_VARIABLE_BY_NAME: Operation(read_variable_by_name, writes=False),
    endpoints.FILTER_VARIABLES: Operation(filter_variables, writes=False),
    endpoints.COUNT_VARIABLES: Operation(count_variables, writes=False),
    endpoints.UPDATE_VARIABLE: Operation(update_variable, writes=True),
    endpoints.UPDATE_VARIABLE_BY_NAME: Operation(update_variable_by_name, writes=True),
    endpoints.DELETE_VARIABLE: Operation(delete_variable, writes=True),
    endpoints.DELETE_VARIABLE_BY_NAME: Operation(delete_variable_by_name, writes=True),
}
