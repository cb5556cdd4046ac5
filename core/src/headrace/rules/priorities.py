"""Priorities of a pool's queues: different whole numbers from 1 on, lower ones first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

K = TypeVar("K")


def first_free(taken: Mapping[K, int]) -> int:
    """Return the lowest priority that nobody has."""
    used = set(taken.values())
    priority = 1
    while priority in used:
        priority += 1
    return priority


def placed(taken: Mapping[K, int], queue: K, wanted: int) -> dict[K, int]:
    """Give `queue` the priority `wanted`. Return it and whoever moves to the next priority because of it: as few as can be."""
    holders = {priority: holder for holder, priority in taken.items() if holder != queue}
    moved = {queue: wanted}
    pushed = holders.get(wanted)
    while pushed is not None:
        wanted += 1
        moved[pushed] = wanted
        pushed = holders.get(wanted)
    return moved


def closed_up(taken: Mapping[K, int]) -> dict[K, int]:
    """Number the queues 1, 2, 3 … in their order. Return those whose priority changes."""
    ordered = sorted(taken, key=lambda queue: taken[queue])
    return {queue: number for number, queue in enumerate(ordered, 1) if taken[queue] != number}
