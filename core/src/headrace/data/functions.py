"""What flows and tasks have in common: the function they wrap, its kind, how it is bound, and the checks of their options."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any, cast

from headrace.data.callables import bind_arguments, unbind_arguments
from headrace.model.errors import InvalidNameError, ReservedArgumentError, near

RESERVED_ARGUMENTS = ("return_state", "wait_for")
FORBIDDEN_NAME_CHARACTERS = ("/", "%", "&", ">", "<")


def is_wrappable(fn: Any) -> bool:
    """Say whether a flow or task can be made of `fn`: a callable, or a method that `classmethod` or `staticmethod` wraps."""
    return callable(fn) or isinstance(fn, (classmethod, staticmethod))


class UserFunction:
    """A user's callable, unwrapped from `staticmethod`/`classmethod`, with its kind and its signature (read when first needed)."""

    __slots__ = ("_signature", "fn", "is_async", "is_classmethod", "is_generator", "is_staticmethod")

    def __init__(self, fn: Any) -> None:
        self.is_classmethod = isinstance(fn, classmethod)
        self.is_staticmethod = isinstance(fn, staticmethod)
        if self.is_classmethod or self.is_staticmethod:
            fn = fn.__func__
        self.fn: Callable[..., Any] = cast("Callable[..., Any]", fn)
        plain = inspect.isroutine(self.fn) or inspect.isclass(self.fn)
        target = self.fn if plain else getattr(type(self.fn), "__call__", self.fn)  # noqa: B004  # the method itself is looked at
        self.is_async = inspect.iscoroutinefunction(target) or inspect.isasyncgenfunction(target)
        self.is_generator = inspect.isgeneratorfunction(target) or inspect.isasyncgenfunction(target)
        self._signature: inspect.Signature | None = None

    @property
    def signature(self) -> inspect.Signature:
        """The signature of the function."""
        if self._signature is None:
            self._signature = inspect.signature(self.fn)
        return self._signature

    @property
    def name(self) -> str:
        """The function's name; that of its class for a callable object."""
        return getattr(self.fn, "__name__", None) or type(self.fn).__name__

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any], defaults: bool = True) -> dict[str, Any]:
        """Return the arguments by parameter name, defaults included. Raises `ParameterBindError` when they do not fit."""
        signature = self.signature
        if not signature.parameters and not args and not kwargs:
            return {}
        return bind_arguments(signature, self.name, args, kwargs, defaults)

    def unbind(self, parameters: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return (args, kwargs) to call the function with these parameters."""
        if not parameters:
            return (), {}
        return unbind_arguments(self.signature, parameters)


def check_no_reserved_arguments(function: UserFunction, kind: str) -> None:
    """Raise `ReservedArgumentError` when the function takes an argument that the engine uses itself."""
    for name in RESERVED_ARGUMENTS:
        if name in function.signature.parameters:
            raise ReservedArgumentError(f"{name!r} is a reserved argument name and cannot be used in {kind}s. Rename this parameter.")


def check_options(options: Iterable[str], known: Iterable[str], where: str) -> None:
    """Raise `TypeError` that names the first option which is not known, and those like it."""
    choices = list(known)
    for name in options:
        if name not in choices:
            raise TypeError(f"{where}() got an unexpected option {name!r}. {near(name, choices)}".rstrip())


def constructor_options(kind: type[Any]) -> list[str]:
    """Return the options of a flow's or task's class: what it takes beside the function."""
    return [name for name in inspect.signature(kind).parameters if name != "fn"]


def check_name(name: Any, kind: str) -> str:
    """Return a valid name. Raises `TypeError` for no text and `InvalidNameError` for forbidden characters."""
    if not isinstance(name, str):
        hint = f" Did you mean '@{kind}(name=...)'? A function is decorated by itself, as in '@{kind}'." if callable(name) else ""
        raise TypeError(f"Expected string for {kind} parameter 'name'; got {type(name).__name__} instead.{hint}")
    bad = [character for character in FORBIDDEN_NAME_CHARACTERS if character in name]
    if bad:
        raise InvalidNameError(
            f"Name {name!r} contains {' '.join(repr(character) for character in bad)}, which is not allowed in a {kind}'s name. "
            f"Leave out these characters: {' '.join(FORBIDDEN_NAME_CHARACTERS)}"
        )
    return name


def check_hooks(kind: str, **hooks: Any) -> dict[str, list[Callable[..., Any]]]:
    """Return each hook option as a list. Raises `TypeError` that names the option which is no iterable of callables."""
    checked: dict[str, list[Callable[..., Any]]] = {}
    for option, given in hooks.items():
        if given is None:
            checked[option] = []
            continue
        if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
            raise TypeError(
                f"Expected iterable for '{option}'; got {type(given).__name__} instead. Please provide a list of hooks to "
                f"'{option}':\n\n@{kind}({option}=[hook1, hook2])\ndef my_{kind}():\n\tpass"
            )
        functions: list[Any] = list(given)  # pyright: ignore[reportUnknownArgumentType]  # a user's value
        for one in functions:
            if not callable(one):
                raise TypeError(
                    f"Expected callables in '{option}'; got {type(one).__name__} instead. Please provide a list of hooks to "
                    f"'{option}':\n\n@{kind}({option}=[hook1, hook2])\ndef my_{kind}():\n\tpass"
                )
        checked[option] = functions
    return checked


def check_run_name(value: Any, option: str) -> None:
    """Raise `TypeError` unless a run's name is text, a callable or not given."""
    if value is not None and not isinstance(value, str) and not callable(value):
        raise TypeError(f"Expected string or callable for '{option}'; got {type(value).__name__} instead.")


def hook_name(hook: Any) -> str:
    """Return the name of a hook for logs."""
    return getattr(hook, "__name__", None) or type(hook).__name__


class RunNameError(Exception):
    """A run's name could not be made; `__cause__` is what the caller shall see."""


def make_run_name(given: Any, parameters: dict[str, Any], option: str) -> str:
    """Return the name that a template or a function makes of the run's parameters. Raises `RunNameError` with what went wrong as its cause."""
    try:
        if not callable(given):
            return _rendered(given, parameters, option)
        takes_parameters = "parameters" in inspect.signature(given).parameters
        name = given(parameters=parameters) if takes_parameters else given()
        if not isinstance(name, str):
            raise TypeError(f"Callable {hook_name(given)!r} for '{option}' returned type {type(name).__name__} but a string is required.")
        return name
    except Exception as error:  # a user's function or template
        raise RunNameError(f"The run's name cannot be made from {option}: {type(error).__name__}: {error}") from error


def _rendered(template: str, parameters: dict[str, Any], option: str) -> str:
    try:
        return template.format(**parameters)
    except KeyError as error:
        raise KeyError(
            f"{option}={template!r} names {error.args[0]!r}, which is not a parameter here. Known: {', '.join(sorted(parameters)) or 'none'}."
        ) from None
    except (IndexError, AttributeError, ValueError) as error:
        raise type(error)(f"{option}={template!r} cannot be filled in: {error}.") from None
