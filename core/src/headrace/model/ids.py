"""Identifiers. Run, state and event ids are UUIDv7 (RFC 9562 §5.7), so that keys sort by the time they were made."""

from __future__ import annotations

import os
import secrets
import time
from threading import Lock
from uuid import UUID

_lock = Lock()
_last_ms = 0
_counter = 0
_COUNTER_BITS = 42  # rand_a (12 bits) and the first 30 bits of rand_b hold a counter: ids of one process never go back


def new() -> UUID:
    """Return a new UUIDv7, greater than every one that this process made before."""
    global _last_ms, _counter
    ms = time.time_ns() // 1_000_000
    with _lock:
        if ms > _last_ms:
            _last_ms = ms
            _counter = int.from_bytes(os.urandom(5), "big")  # 40 bits: leaves room to count up
        else:
            _counter += 1
            if _counter >> _COUNTER_BITS:
                _last_ms += 1
                _counter = 0
        ms, counter = _last_ms, _counter
    random_tail = int.from_bytes(os.urandom(4), "big")
    value = (ms & 0xFFFFFFFFFFFF) << 80
    value |= 0x7 << 76
    value |= (counter >> 30) << 64
    value |= 0x2 << 62
    value |= (counter & 0x3FFFFFFF) << 32
    value |= random_tail
    return UUID(int=value)


def random_hex(bytes_count: int = 16) -> str:
    """Return unguessable hexadecimal text of `2 * bytes_count` characters."""
    return secrets.token_hex(bytes_count)
