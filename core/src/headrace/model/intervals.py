"""Random waits: intervals of a Poisson process within bounds, so that many clients do not all come at the same moment."""

from __future__ import annotations

import math
import random

_CERTAINTY = 1 - 2**-53  # the largest probability below 1: the time for 1 itself is infinite


def poisson_interval(average_interval: float, lower: float = 0, upper: float = 1) -> float:
    """Draw the time between two events of a Poisson process, by the inverse of its distribution.

    `lower` and `upper`, from 0 to 1, bound the probability from which it is drawn, and with that the time.
    """
    probability = min(random.uniform(lower, upper), _CERTAINTY)
    return -math.log1p(-probability) * average_interval


def exponential_cdf(x: float, average_interval: float) -> float:
    """Return the probability that such a time is at most `x`."""
    return 1 - math.exp(-x / average_interval)


def lower_clamp_multiple(k: float) -> float:
    """Return the lower bound, as a multiple of the average, that goes with an upper bound of `k` averages.

    Both cut off the same probability, of a process whose median is the average: what is left has about that average. Raises
    `ValueError` unless `k` is above 0.
    """
    if k <= 0:
        raise ValueError(f"The upper bound must be above 0 averages, not {k}.")
    return -math.log2(1 - 2.0**-k)


def clamped_poisson_interval(average_interval: float, clamping_factor: float = 0.3) -> float:
    """Draw such a time, at most `average_interval * (1 + clamping_factor)`; the average stays about the same.

    Raises `ValueError` for a factor that is not above 0.
    """
    if clamping_factor <= 0:
        raise ValueError(f"`clamping_factor` must be above 0, not {clamping_factor}.")
    upper_multiple = 1 + clamping_factor
    lower_multiple = lower_clamp_multiple(upper_multiple)
    upper = exponential_cdf(average_interval * upper_multiple, average_interval)
    lower = exponential_cdf(average_interval * lower_multiple, average_interval)
    return poisson_interval(average_interval, lower, upper)


def bounded_poisson_interval(lower_bound: float, upper_bound: float) -> float:
    """Draw such a time between two bounds; the average of the process is their middle."""
    average = (lower_bound + upper_bound) / 2
    if average <= 0:
        return 0.0
    return poisson_interval(average, exponential_cdf(lower_bound, average), exponential_cdf(upper_bound, average))
