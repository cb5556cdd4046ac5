"""How long to wait before a retry."""

from __future__ import annotations

import math

from headrace.rules.transitions import Policy


def retry_delay_seconds(policy: Policy, run_count: int, random: float) -> float:
    """Return the seconds before the retry that follows run `run_count` (1 for the first run).

    A list gives one delay for each retry, the last one for all that follow. With a jitter factor `f` the delay is drawn from the
    exponential distribution of that mean, cut to between `delay / (1 + f)` and `delay * (1 + f)`, so that many runs that failed
    together do not return together. `random` is a number in [0, 1).
    """
    delay = policy.retry_delay
    if isinstance(delay, tuple):
        if not delay:
            return 0.0
        delay = delay[min(max(run_count - 1, 0), len(delay) - 1)]
    factor = policy.retry_jitter_factor
    if not factor or delay <= 0:
        return max(0.0, float(delay))
    low, high = 1 / (1 + factor), 1 + factor
    share = (1 - random) * math.exp(-low) + random * math.exp(-high)
    return delay * -math.log(share)
