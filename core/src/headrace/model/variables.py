"""Variables: named JSON values that runs share. They are not encrypted; secrets belong in blocks."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StrictBool, StrictFloat, StrictInt, StrictStr

from headrace.model.base import Action, Body, Record
from headrace.model.filters import AnyId, LikeName, Operator
from headrace.model.name_checks import raise_on_name_alphanumeric_dashes_underscores_only

NAME_LENGTH_MAX = 255
VALUE_LENGTH_MAX = 5000  # characters of the value as JSON


def _checked_name(name: str) -> str:
    return raise_on_name_alphanumeric_dashes_underscores_only(name, "Variable name")


def _checked_value(value: Any) -> Any:
    try:
        encoded = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Variable value must be serializable to JSON: {error}.") from error
    if len(encoded) > VALUE_LENGTH_MAX:
        raise ValueError(f"Variable value must be at most {VALUE_LENGTH_MAX} characters as JSON; this one has {len(encoded)}.")
    return value


def _no_null_name(name: str | None) -> str | None:
    return name if name is None else _checked_name(name)


VariableName = Annotated[str, Field(max_length=NAME_LENGTH_MAX), AfterValidator(_checked_name)]
VariableValue = Annotated[StrictStr | StrictInt | StrictBool | StrictFloat | dict[str, Any] | list[Any] | None, AfterValidator(_checked_value)]


class Variable(Record):
    """A stored variable."""

    name: str
    value: StrictStr | StrictInt | StrictBool | StrictFloat | dict[str, Any] | list[Any] | None
    tags: list[str] = Field(default_factory=list)


class VariableCreate(Action):
    """A variable to be made. Strict: values keep their JSON type."""

    name: VariableName
    value: VariableValue
    tags: list[str] = Field(default_factory=list)


class VariableUpdate(Action):
    """What changes in a variable; fields that are not given stay."""

    name: Annotated[str | None, Field(max_length=NAME_LENGTH_MAX), AfterValidator(_no_null_name)] = None
    value: VariableValue = None
    tags: list[str] | None = None


class VariableFilterId(AnyId):
    """By id."""


class VariableFilterName(LikeName):
    """By name: one of several, or containing a text."""


class VariableFilterTags(Action):
    """By tags: all of several, or none at all."""

    operator: Operator = Operator.and_
    all_: list[str] | None = None
    is_null_: bool | None = None


class VariableFilter(Action):
    """Which variables; an empty one means all."""

    operator: Operator = Operator.and_
    id: VariableFilterId | None = None
    name: VariableFilterName | None = None
    tags: VariableFilterTags | None = None


class VariableSort(StrEnum):
    """Orders of a list of variables."""

    CREATED_DESC = "CREATED_DESC"
    UPDATED_DESC = "UPDATED_DESC"
    NAME_DESC = "NAME_DESC"
    NAME_ASC = "NAME_ASC"


class FilterVariables(Body):
    """Body of the list of variables."""

    offset: int = Field(default=0, ge=0)
    variables: VariableFilter | None = None
    sort: VariableSort = VariableSort.NAME_ASC
    limit: int | None = None


class CountVariables(Body):
    """Body of the count of variables."""

    variables: VariableFilter | None = None
