"""What the filters of several nouns share: how conditions are joined, and the most common conditions."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from headrace.model.base import Action


class Operator(StrEnum):
    """How the conditions of one filter are joined."""

    and_ = "and_"
    or_ = "or_"


class AnyId(Action):
    """By id: one of several."""

    any_: list[UUID] | None = None


class LikeName(Action):
    """By name: one of several, or containing a text, upper and lower case alike."""

    any_: list[str] | None = None
    like_: str | None = None
