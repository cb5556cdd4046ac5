"""Variables as users write and read them."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from headrace.client.bridge import blocking
from headrace.client.connect import current_client
from headrace.model.base import Model
from headrace.model.endpoints.variables import (
    CREATE_VARIABLE,
    DELETE_VARIABLE_BY_NAME,
    READ_VARIABLE_BY_NAME,
    UPDATE_VARIABLE_BY_NAME,
)
from headrace.model.errors import ObjectAlreadyExists, ObjectNotFound
from headrace.model.variables import VariableCreate, VariableName, VariableUpdate, VariableValue


class Variable(Model):
    """A named JSON value that flows and tasks share. Values are not encrypted: keep secrets in a `Secret` block.

    `name` has at most 255 characters from `a-z`, `0-9`, `-` and `_`; `value` is anything that JSON can hold in 5000 characters.
    """

    name: VariableName
    value: VariableValue
    tags: list[str] = Field(default_factory=list)

    @classmethod
    async def aset(cls, name: str, value: Any, tags: list[str] | None = None, overwrite: bool = False) -> Variable:
        """Save a variable and return it.

        Raises `ValueError` when one of that name exists and `overwrite` is False, and a validation error for a bad name or value. With
        `overwrite`, value and tags are both replaced. Two writers at once never fail: the later one wins.
        """
        client = current_client()
        body = VariableCreate(name=name, value=value, tags=tags or [])
        while True:
            try:
                await client.call(CREATE_VARIABLE, body)
                break
            except ObjectAlreadyExists as error:
                if not overwrite:
                    raise ValueError(f"Variable {name!r} already exists. Use `overwrite=True` to replace its value.") from error
            try:
                await client.call(UPDATE_VARIABLE_BY_NAME, VariableUpdate(value=body.value, tags=body.tags), name=name)
                break
            except ObjectNotFound:
                continue  # somebody deleted it in between: create it after all
        return cls(name=body.name, value=body.value, tags=body.tags)

    @classmethod
    async def aget(cls, name: str, default: Any = None) -> Any:
        """Return the value of a variable, or `default` when there is none of that name."""
        try:
            return (await current_client().call(READ_VARIABLE_BY_NAME, name=name)).value
        except ObjectNotFound:
            return default

    @classmethod
    async def aunset(cls, name: str) -> bool:
        """Delete a variable, and say whether there was one."""
        try:
            await current_client().call(DELETE_VARIABLE_BY_NAME, name=name)
        except ObjectNotFound:
            return False
        return True

    set = blocking(aset)
    get = blocking(aget)
    unset = blocking(aunset)
