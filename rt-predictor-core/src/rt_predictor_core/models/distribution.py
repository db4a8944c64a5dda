"""The distribution of a run time that a set of quantiles describes: the only place that joins or extends them.

Times are those that a job needs if nothing kills it. Between zero seconds and the highest quantile the distribution
function is a chain of straight lines; quantiles that coincide are a point mass. Above the highest quantile the chance
to need longer falls as one over the distance, beginning with the density of the last line: a Lomax (Pareto type II)
tail with exponent 1, which fits what outlives its forecast in two real logs as well as any other exponent and width
that was tried. So a job that has outlived everything known of its like is expected to go on for a time in proportion
to that by which it has. A limit cuts the distribution: all that lies past it becomes a point mass there, the jobs that
are killed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numba import njit

NARROWEST_TAIL = 0.03
"""The tail is never narrower than this share of the highest quantile: forecasts that agree leave some doubt as well."""

LEANS = np.array([0.02, 0.2, 0.4, 0.6, 0.8, 0.98])
"""Which shares of the jobs that an interval misses may lie below it."""

_ATOMS = (np.arange(20) + 0.5) / 20
"""Levels of equal weight that stand for the distribution where every part of it has to be looked at."""


@dataclass(frozen=True)
class Distribution:
    """The run times of ``n`` jobs, each known to have run for ``elapsed`` so far.

    Everything is conditional on that: the total time of a job that has come so far, not a difference of forecasts.

    Attributes
    ----------
    levels: float64[levels], at least two, rising, in (0, 1).
    times: float64[n, levels], their quantiles [s], positive, never falling along a row, not yet held to the limit.
    limit: float64[n], when the job is killed [s]; infinite where it is not.
    elapsed: float64[n], how long the job has run [s]; 0 before it starts.
    """

    levels: np.ndarray
    times: np.ndarray
    limit: np.ndarray
    elapsed: np.ndarray

    def given(self, elapsed: np.ndarray) -> Self:
        """Return the distribution of jobs that have run for ``elapsed``, float64[n] in seconds."""
        return replace(self, elapsed=elapsed)

    @property
    def at_limit(self) -> np.ndarray:
        """Whether the job has run up to its limit or past it, bool[n]: whatever kills it does so now."""
        return np.asarray(self.elapsed >= self.limit)

    @property
    def outlasted(self) -> np.ndarray:
        """Share of such jobs that need no longer than this one has run already, float64[n]."""
        start = np.zeros(len(self.times))
        return 1.0 - _exceedances(self.elapsed, False, self.levels, self.times, start)

    def cdf(self, time: np.ndarray) -> np.ndarray:
        """Return the probability that the job has ended by ``time``, float64[n] in seconds: by itself or killed."""
        ended = 1.0 - self._exceedance(time, reaching=False)
        return np.where(time >= np.maximum(self.limit, self.elapsed), 1.0, ended)

    def exceedance(self, time: np.ndarray) -> np.ndarray:
        """Return the probability that the job needs ``time`` [s] or longer, float64[n]; NaN where that is NaN.

        At the limit this is the chance to be killed there. What a job needs is not held to the limit; past it the
        tail says how much longer.
        """
        return self._exceedance(time, reaching=True)

    def quantile(self, level: float | np.ndarray) -> np.ndarray:
        """Return the total run time [s] that is not exceeded with probability ``level``, in (0, 1).

        float64[n] for one level, float64[n, m] for levels float64[m], or float64[n, m] with each job's own. Above
        ``elapsed`` and never past the limit; a job that is at its limit or past it ends at once.
        """
        # a copy: compiled code would be compiled again for an array that cannot be written to
        asked = np.array(np.broadcast_to(level, (len(self.times), np.atleast_2d(level).shape[1])), float, order="C")
        times = _quantiles(asked, self.levels, self.times, self.limit, self.elapsed)
        return np.asarray(times if np.ndim(level) else times[:, 0])

    def lean(self, coverage: float) -> np.ndarray:
        """Return the lean of ``LEANS`` whose interval is the shortest at a coverage in (0, 1), float64[n].

        Run times are skewed: mostly there are seconds to win below an interval and hours above it. Where the limit
        cuts the distribution it is the other way round.
        """
        below = (1.0 - coverage) * LEANS
        lower, upper = np.hsplit(self.quantile(np.concatenate([below, below + coverage])), 2)
        return np.asarray(LEANS[np.argmin(upper - lower, axis=1)])

    def interval(self, coverage: np.ndarray, lean: np.ndarray) -> np.ndarray:
        """Return the ends [s] of intervals that cover with a probability, float64[n] in (0, 1): float64[n, 2].

        ``lean``, float64[n] in (0, 1), is the share of what they miss that lies below; at the same lean an interval
        of higher coverage holds those of lower.
        """
        return self.quantile(np.column_stack([lean * (1.0 - coverage), lean + coverage * (1.0 - lean)]))

    def coverage(self, time: np.ndarray, lean: np.ndarray) -> np.ndarray:
        """Return the coverage of the smallest interval of a lean that reaches a time [s] before the limit, float64[n].

        0 where every interval does.
        """
        level = 1.0 - self.exceedance(time)
        return np.asarray(np.maximum(np.maximum(1.0 - level / lean, (level - lean) / (1.0 - lean)), 0.0))

    def mode(self) -> np.ndarray:
        """Return the most likely total run time, float64[n] in seconds.

        The mode of the density of the logarithm of time, smoothed by ``exp(-|difference|)``: the time whose ratio to
        the one that comes, the smaller by the larger, is the largest on average. Without smoothing, two quantiles
        that happen to lie close together would beat everything else.
        """
        return np.asarray(_likest(self.quantile(_ATOMS)))

    def _exceedance(self, time: np.ndarray, *, reaching: bool) -> np.ndarray:
        asked = np.ascontiguousarray(time, np.float64)
        return np.asarray(np.minimum(_exceedances(asked, reaching, self.levels, self.times, self.elapsed), 1.0))


@njit(cache=True, nogil=True)
def _tail(levels: np.ndarray, times: np.ndarray) -> float:
    """Return after how long half of a job's tail is left [s]."""
    slope = (times[-1] - times[-2]) / (levels[-1] - levels[-2])
    return float(max(slope * (1.0 - levels[-1]), NARROWEST_TAIL * times[-1]))


@njit(cache=True, nogil=True)
def _unfinished(time: float, reaching: bool, levels: np.ndarray, times: np.ndarray) -> float:
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
def _quantiles(
    asked: np.ndarray, levels: np.ndarray, times: np.ndarray, limit: np.ndarray, elapsed: np.ndarray
) -> np.ndarray:
    out = np.empty(asked.shape)
    for i in range(len(times)):
        left = _unfinished(elapsed[i], False, levels, times[i])
        for j in range(asked.shape[1]):
            # of those that need longer than elapsed
            time = _time_at((1.0 - left) + left * asked[i, j], left * (1.0 - asked[i, j]), levels, times[i])
            if elapsed[i] > 0.0:
                time = max(time, np.nextafter(elapsed[i], np.inf))
            out[i, j] = min(time, max(limit[i], elapsed[i]))
    return out


@njit(cache=True, nogil=True)
def _exceedances(
    asked: np.ndarray, reaching: bool, levels: np.ndarray, times: np.ndarray, elapsed: np.ndarray
) -> np.ndarray:
    out = np.ones(len(times))
    for i in range(len(times)):
        if not asked[i] <= elapsed[i]:
            left = _unfinished(elapsed[i], False, levels, times[i])
            out[i] = _unfinished(asked[i], reaching, levels, times[i]) / left
    return out


@njit(cache=True, nogil=True)
def _likest(times: np.ndarray) -> np.ndarray:
    """Return of each row, float64[n, m] rising, the time with the largest mean ratio to all, float64[n]."""
    out = np.empty(len(times))
    for i in range(len(times)):
        best = -1.0
        for time in times[i]:
            ratio = 0.0
            for other in times[i]:
                ratio += min(time, other) / max(time, other)
            if ratio > best:
                best, out[i] = ratio, time
    return out
