"""Marks that a caller puts around an argument to say how the engine shall treat it."""

from __future__ import annotations

from typing import Generic, Self, TypeVar

T = TypeVar("T")


class NotSet:
    """Stands for "the user gave nothing" where None is a value. The class itself is the mark."""


class BaseAnnotation(tuple[T], Generic[T]):
    """A mark around one value. It is a tuple of that value, so that tools which know no marks still find the value inside."""

    __slots__ = ()

    def __new__(cls, value: T) -> Self:
        return super().__new__(cls, (value,))

    @property
    def value(self) -> T:
        """The value inside."""
        return self[0]

    def unwrap(self) -> T:
        """Return the value inside."""
        return self[0]

    def rewrap(self, value: T) -> Self:
        """Return the same mark around another value."""
        return type(self)(value)

    def __getnewargs__(self) -> tuple[T]:
        return (self[0],)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BaseAnnotation) and type(other) is type(self) and bool(self[0] == other[0])  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]  # a user's value

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((type(self), self[0]))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self[0]!r})"


class unmapped(BaseAnnotation[T]):
    """Give an iterable as it is to every child of a `map`, instead of one item to each."""

    __slots__ = ()


class allow_failure(BaseAnnotation[T]):
    """Let the run start although this upstream failed; the function then receives the exception."""

    __slots__ = ()


class quote(BaseAnnotation[T]):
    """Pass the value as it is: no future in it is resolved, nothing in it is looked at.

    Saves the walk through a large collection or table, and gives up the record of which run it came from.
    """

    __slots__ = ()

    def unquote(self) -> T:
        """Return the value inside."""
        return self[0]


class opaque(BaseAnnotation[T]):
    """Resolve the value when it is a future or a state, and do not look inside what comes out."""

    __slots__ = ()


class freeze(BaseAnnotation[T]):
    """Pin a deployment's parameter: runs cannot be given another value for it."""

    __slots__ = ()

    def unfreeze(self) -> T:
        """Return the value inside."""
        return self[0]
