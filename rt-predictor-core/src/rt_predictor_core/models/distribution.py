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

from rt_predictor_core.models import curve
from rt_predictor_core.models.curve import LEANS, unfinished

__all__ = ["LEANS", "Distribution", "quantiles"]


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
        # rows of their own: compiled code would be compiled again for an array that lies otherwise
        asked = np.array(level, np.float64, order="C", ndmin=2)
        times = quantiles(asked, self.levels, self.times, self.limit, self.elapsed)
        return np.asarray(times if np.ndim(level) else times[:, 0])

    def lean(self, coverage: float) -> np.ndarray:
        """Return the lean of ``LEANS`` whose interval is the shortest at a coverage in (0, 1), float64[n].

        Run times are skewed: mostly there are seconds to win below an interval and hours above it. Where the limit
        cuts the distribution it is the other way round.
        """
        return np.asarray(_leans(coverage, self.levels, self.times, self.limit, self.elapsed))

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
        return np.asarray(_modes(self.levels, self.times, self.limit, self.elapsed))

    def _exceedance(self, time: np.ndarray, *, reaching: bool) -> np.ndarray:
        asked = np.ascontiguousarray(time, np.float64)
        return np.asarray(np.minimum(_exceedances(asked, reaching, self.levels, self.times, self.elapsed), 1.0))


@njit(cache=True, nogil=True)
def quantiles(
    asked: np.ndarray, levels: np.ndarray, times: np.ndarray, limit: np.ndarray, elapsed: np.ndarray
) -> np.ndarray:
    """Return float64[n, m] for levels float64[n, m], or float64[1, m] for all jobs alike."""
    out = np.empty((len(times), asked.shape[1]))
    for i in range(len(times)):
        left = unfinished(elapsed[i], False, levels, times[i])
        own = asked[min(i, len(asked) - 1)]
        for j in range(len(own)):
            out[i, j] = curve.quantile(own[j], left, levels, times[i], limit[i], elapsed[i])
    return out


@njit(cache=True, nogil=True)
def _exceedances(
    asked: np.ndarray, reaching: bool, levels: np.ndarray, times: np.ndarray, elapsed: np.ndarray
) -> np.ndarray:
    out = np.ones(len(times))
    for i in range(len(times)):
        if not asked[i] <= elapsed[i]:
            left = unfinished(elapsed[i], False, levels, times[i])
            out[i] = unfinished(asked[i], reaching, levels, times[i]) / left
    return out


@njit(cache=True, nogil=True)
def _leans(
    coverage: float, levels: np.ndarray, times: np.ndarray, limit: np.ndarray, elapsed: np.ndarray
) -> np.ndarray:
    out = np.empty(len(times))
    for i in range(len(times)):
        left = unfinished(elapsed[i], False, levels, times[i])
        out[i] = curve.lean(coverage, left, levels, times[i], limit[i], elapsed[i])
    return out


@njit(cache=True, nogil=True)
def _modes(levels: np.ndarray, times: np.ndarray, limit: np.ndarray, elapsed: np.ndarray) -> np.ndarray:
    out = np.empty(len(times))
    for i in range(len(times)):
        left = unfinished(elapsed[i], False, levels, times[i])
        out[i] = curve.mode(left, levels, times[i], limit[i], elapsed[i])
    return out
