"""What an endpoint is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

R = TypeVar("R")

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True, slots=True)
class Endpoint(Generic[R]):
    """One route: how it is reached, what it takes and what it answers.

    `path` is below `/api`, with `{name}` for path parameters. `body` is the type of the request's body (a pydantic model, or
    any type that pydantic can validate), `returns` that of the answer; `query` names the query parameters with
    their types, and their defaults unless they are required: `(("client", str), ("limit", int, 10))`. `status` is the one for success, `also`
    other ones, `media_type` that of the answer. `noun` is the module of `operations` that holds the operation.
    """

    method: Method
    path: str
    noun: str
    body: Any = field(default=None, compare=False)
    returns: Any = field(default=None, compare=False)
    status: int = field(default=200, compare=False)
    query: tuple[tuple[str, Any] | tuple[str, Any, Any], ...] = field(default=(), compare=False)
    also: tuple[int, ...] = field(default=(), compare=False)
    media_type: str = field(default="application/json", compare=False)
