"""Identifiers. Run, state and event ids are UUIDv7 (RFC 9562 §5.7), so that keys sort by the time they were made."""

from __future__ import annotations

import os
import random
import secrets
import time
from threading import Lock
from uuid import UUID

_lock = Lock()
_random = random.SystemRandom()
_last_ms = 0
_counter = 0
_node = _random.getrandbits(32)  # told apart from other processes; made anew after a fork
_COUNTER_BITS = 42  # rand_a (12 bits) and the first 30 bits of rand_b hold a counter: ids of one process never go back


def _value() -> int:
    global _last_ms, _counter
    ms = time.time_ns() // 1_000_000
    with _lock:
        if ms > _last_ms:
            _last_ms = ms
            _counter = _seed.getrandbits(40)  # two bits of room to count up within the millisecond
        else:
            _counter += 1
            if _counter >> _COUNTER_BITS:
                _last_ms += 1
                _counter = 0
        ms, counter = _last_ms, _counter
    return (ms & 0xFFFFFFFFFFFF) << 80 | 0x7 << 76 | (counter >> 30) << 64 | 0x2 << 62 | (counter & 0x3FFFFFFF) << 32 | _node


def _after_fork() -> None:
    global _node, _seed, _lock
    _lock = Lock()
    _node = _random.getrandbits(32)
    _seed = random.Random(_random.getrandbits(64))


_seed = random.Random(_random.getrandbits(64))
os.register_at_fork(after_in_child=_after_fork)


def new() -> UUID:
    """Return a new UUIDv7, greater than every one that this process made before."""
    return UUID(int=_value())


def new_text() -> str:
    """Return a new UUIDv7 as hyphenated text, without building a UUID object: for records on the fast path."""
    digits = f"{_value():032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def random_hex(bytes_count: int = 16) -> str:
    """Return unguessable hexadecimal text of `2 * bytes_count` characters."""
    return secrets.token_hex(bytes_count)
