"""Inputs of flow runs: a small store of texts per run, through which runs and people send values to a run that is going on."""

from __future__ import annotations

import re
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field

from headrace.model.base import Body, Model, Record

_KEY = re.compile(r"[A-Za-z0-9._-]+")  # a key is one segment of a path in the API


def _checked_key(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError(f"A flow run input's key is made of letters, digits, '.', '_' and '-'; {key!r} is not.")
    return key


InputKey = Annotated[str, AfterValidator(_checked_key)]


class FlowRunInput(Record):
    """One stored input. `value` is JSON text; `sender` is `prefect.flow-run.<id>` where a run sent it."""

    flow_run_id: UUID
    key: str
    value: str
    sender: str | None = None

    @property
    def decoded_value(self) -> object:
        """The value that the JSON text stands for."""
        import json

        return json.loads(self.value)


class FlowRunInputCreate(Model):
    """An input to be stored; its key must be new to the run."""

    key: InputKey
    value: str
    sender: str | None = None


class FilterFlowRunInputs(Body):
    """Which inputs of a run, oldest first: those whose key begins with `prefix` and is not excluded."""

    prefix: str
    limit: int = Field(default=1, ge=0)
    exclude_keys: list[str] = []
