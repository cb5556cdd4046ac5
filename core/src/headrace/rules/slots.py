"""Who gets slots of a limit, and when to ask again. Pure: values in, decisions out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from headrace.model.concurrency import TAG_PREFIX

AVERAGE_OCCUPANCY_SECONDS = 2.0  # what is assumed of a limit that nobody has used yet
OCCUPANCY_SECONDS_MIN = 0.1
WAIT_SECONDS_MIN = 0.01
WAIT_SECONDS_MAX = 30.0
TAG_WAIT_SECONDS_MAX = 10.0


@dataclass(frozen=True, slots=True)
class Room:
    """What decides about a limit. `held` counts the slots of live leases; `drained_at` is when a decaying limit will be empty."""

    name: str
    limit: int
    held: int = 0
    decay_per_second: float = 0.0
    drained_at: datetime | None = None
    average_occupancy_seconds: float = AVERAGE_OCCUPANCY_SECONDS

    @property
    def decays(self) -> bool:
        """Say whether this is a rate limit."""
        return self.decay_per_second > 0


def level(room: Room, now: datetime) -> float:
    """Return how many slots of `room` are taken, as a fraction where they decay.

    A decaying limit is a leaky bucket kept as one time, that at which it runs empty (the generic cell rate algorithm,
    ITU-T I.371 annex A): it needs no sweeping and cannot drift.
    """
    if not room.decays:
        return float(room.held)
    if room.drained_at is None or room.drained_at <= now:
        return 0.0
    return (room.drained_at - now).total_seconds() * room.decay_per_second


def active_slots(room: Room, now: datetime) -> int:
    """Return the whole slots of `room` that are taken, as it is shown."""
    return math.ceil(round(level(room, now), 6))


def has_room(room: Room, slots: int, now: datetime) -> bool:
    """Say whether `slots` more fit into `room`."""
    return level(room, now) + slots <= room.limit + 1e-6


def drained_after(room: Room, slots: float, now: datetime) -> datetime:
    """Return when `room` will be empty once `slots` more are taken (or, negative, given back)."""
    start = now if room.drained_at is None or room.drained_at < now else room.drained_at
    return max(now, start + timedelta(seconds=slots / room.decay_per_second))


def undecayed(slots: int, decay_per_second: float, held_seconds: float) -> float:
    """Return how many of `slots` taken `held_seconds` ago can be given back: those that cannot have decayed yet.

    Giving back more would let through more than the rate.
    """
    return max(0.0, slots - decay_per_second * max(0.0, held_seconds))


def refusal(rooms: Sequence[Room], slots: int, mode: str) -> str | None:
    """Return why a request can never succeed, or None: more slots than a limit has, or a rate limit without decay."""
    small = [room for room in rooms if slots > room.limit]
    if small:
        shown = ", ".join(f"{room.name!r} has {room.limit}" for room in small)
        return f"Slots requested is greater than the limit: {slots} requested, {shown}"
    steady = [room.name for room in rooms if not room.decays]
    if mode == "rate_limit" and steady:
        shown = ", ".join(repr(name) for name in steady)
        return f"Only concurrency limits with slot decay can be used for rate limiting. The following limits do not have a decay configured: {shown}"
    return None


def retry_after(room: Room, slots: int, now: datetime, jitter: float) -> float:
    """Return the seconds after which `slots` of `room` may be free.

    Exact for a decaying limit: the time until enough has drained, and up to a tenth more. Otherwise the average occupancy shared by the
    limit's slots, spread by `jitter` (0 to 1) between half and one and a half of it. At most 30 s, 10 s for limits of tags.
    """
    most = TAG_WAIT_SECONDS_MAX if room.name.startswith(TAG_PREFIX) else WAIT_SECONDS_MAX
    if room.decays:
        excess = level(room, now) + slots - room.limit
        return min(most, max(0.0, excess / room.decay_per_second * (1 + 0.1 * jitter)) + 2e-6)  # times are whole microseconds
    seconds = room.average_occupancy_seconds * slots / max(1, room.limit) * (0.5 + jitter)
    return min(most, max(WAIT_SECONDS_MIN, seconds))


def average_occupancy(average_seconds: float, limit: int, occupancy_seconds: float) -> float:
    """Return the running average occupancy after one more sample, over about the last `2 * limit` samples, 0.1 s at least."""
    samples = max(1, 2 * limit)
    return max(OCCUPANCY_SECONDS_MIN, average_seconds + (occupancy_seconds - average_seconds) / samples)
