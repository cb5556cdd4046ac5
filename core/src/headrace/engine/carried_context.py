"""Taking the context of a run along into another process, for functions that the engine does not start."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar

from headrace.data import pickling
from headrace.engine.context import hydrated_context, serialize_context

P = ParamSpec("P")
R = TypeVar("R")


class ContextWrappedCallable(Generic[P, R]):
    """A function that is called in the context in which it was wrapped. Can be pickled, with the context."""

    def __init__(self, fn: Callable[P, R], context: dict[str, Any]) -> None:
        self._fn = fn
        self._context = context
        update_wrapper(self, fn)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        with hydrated_context(self._context):
            return self._fn(*args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        return _load, (pickling.dumps((self._fn, self._context)),)


def _load(content: bytes) -> ContextWrappedCallable[..., Any]:
    return ContextWrappedCallable(*pickling.loads(content))


def with_context(fn: Callable[P, R]) -> ContextWrappedCallable[P, R]:
    """Return `fn` as it is to be called in another process with the present run's context, as by `multiprocessing.Pool.map`.

    There `get_run_logger()`, `headrace.runtime` and tags then answer as they do here.
    """
    return ContextWrappedCallable(fn, serialize_context())
