"""The decorator for hook implementations. It only leaves a note on the function; no plugin library is imported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, overload

MARK = "headrace_hook_options"

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class HookOptions:
    """What an implementation says of itself."""

    specname: str | None = None
    tryfirst: bool = False
    trylast: bool = False
    required: bool | None = None


@overload
def hookimpl(function: F) -> F: ...
@overload
def hookimpl(*, specname: str | None = None, tryfirst: bool = False, trylast: bool = False, required: bool | None = None) -> Callable[[F], F]: ...
def hookimpl(
    function: F | None = None,
    *,
    specname: str | None = None,
    tryfirst: bool = False,
    trylast: bool = False,
    required: bool | None = None,
) -> F | Callable[[F], F]:
    """Mark a function or method as the implementation of a headrace hook.

    The function's name says which hook, unless `specname` does. `tryfirst` and `trylast` order it among other plugins'.
    `required` matters for the startup hook in strict mode: True makes any failure of it fatal, a time-out included; False
    makes none fatal; left out, an exception is fatal and a time-out is not. Wrappers around other plugins' hooks do not
    exist: each implementation is called by itself.
    """
    options = HookOptions(specname, tryfirst, trylast, required)

    def mark(marked: F) -> F:
        setattr(marked, MARK, options)
        return marked

    return mark if function is None else mark(function)


register_hook = hookimpl
