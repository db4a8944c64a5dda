"""One distribution in compiled code: lines between quantiles, a tail above them, a limit that cuts both.

What the numbers mean is told in ``distribution``, whose class asks these functions for many jobs at once; ``forecast``
asks them for several answers of each job in one call. ``levels`` float64[k] rise, ``times`` float64[k] never fall.
"""

from __future__ import annotations

from math import ceil, inf

import numpy as np
from numba import njit

NARROWEST_TAIL = 0.03
"""The tail is never narrower than this share of the highest quantile: forecasts that agree leave some doubt as well."""

LEANS = np.array([0.02, 0.2, 0.4, 0.6, 0.8, 0.98])
"""Which shares of the jobs that an interval misses may lie below it."""

ATOMS = (np.arange(20) + 0.5) / 20
"""Levels of equal weight that stand for the distribution where every part of it has to be looked at."""


@njit(cache=True, nogil=True)
def _tail(levels: np.ndarray, times: np.ndarray) -> float:
    """Return after how long half of a job's tail is left [s]."""
    slope = (times[-1] - times[-2]) / (levels[-1] - levels[-2])
    return float(max(slope * (1.0 - levels[-1]), NARROWEST_TAIL * times[-1]))


@njit(cache=True, nogil=True)
def unfinished(time: float, reaching: bool, levels: np.ndarray, times: np.ndarray) -> float:  # noqa: FBT001 - numba
    """Return the probability at its start that a job needs more than ``time``, or at least that if ``reaching``."""
    low, below = 0.0, 0.0
    for level, above in zip(levels, times):  # noqa: B905 - numba knows no strict
        if time < above or (reaching and time == above):
            return float(1.0 - (low + max(time - below, 0.0) / (above - below) * (level - low)))
        low, below = level, above
    scale = _tail(levels, times)
    return float((1.0 - low) * scale / (scale + time - below))


@njit(cache=True, nogil=True)
def _time_at(level: float, left: float, levels: np.ndarray, times: np.ndarray) -> float:
    """Return the quantile at a job's start, not held to the limit [s]; ``left`` is 1 - level without its rounding."""
    low, below = 0.0, 0.0
    for high, above in zip(levels, times):  # noqa: B905
        if level <= high:
            share = (level - low) / (high - low)
            return float(min(max((1.0 - share) * below + share * above, below), above))
        low, below = high, above
    return float(below + _tail(levels, times) * ((1.0 - low) / left - 1.0))


@njit(cache=True, nogil=True)
def quantile(asked: float, left: float, levels: np.ndarray, times: np.ndarray, limit: float, elapsed: float) -> float:
    """Return a quantile of the jobs that need longer than ``elapsed`` [s], of which ``left`` of all are."""
    time = _time_at((1.0 - left) + left * asked, left * (1.0 - asked), levels, times)
    if elapsed > 0.0:
        time = max(time, np.nextafter(elapsed, inf))
    return float(min(time, max(limit, elapsed)))


@njit(cache=True, nogil=True)
def lean(coverage: float, left: float, levels: np.ndarray, times: np.ndarray, limit: float, elapsed: float) -> float:
    """Return the first lean of ``LEANS`` whose interval of a coverage is the shortest."""
    chosen, shortest = LEANS[0], inf
    for one in LEANS:
        below = (1.0 - coverage) * one
        lower = quantile(below, left, levels, times, limit, elapsed)
        width = quantile(below + coverage, left, levels, times, limit, elapsed) - lower
        if width < shortest:
            chosen, shortest = one, width
    return float(chosen)


@njit(cache=True, nogil=True)
def mode(left: float, levels: np.ndarray, times: np.ndarray, limit: float, elapsed: float) -> float:
    """Return the time of ``ATOMS`` with the largest mean ratio to all of them [s]."""
    atoms = np.empty(len(ATOMS))
    for j in range(len(ATOMS)):
        atoms[j] = quantile(ATOMS[j], left, levels, times, limit, elapsed)
    best, likest = -1.0, atoms[0]
    for time in atoms:
        ratio = 0.0
        for other in atoms:
            ratio += min(time, other) / max(time, other)
        if ratio > best:
            best, likest = ratio, time
    return float(likest)


@njit(cache=True, nogil=True)
def whole(time: float, unit: float) -> int:
    """Return the least whole number of units that is not below a time, in units of the time."""
    return int(ceil(time / unit) * unit)
