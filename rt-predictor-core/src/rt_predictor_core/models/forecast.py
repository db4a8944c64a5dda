"""The forecaster: members, blend, calibration and limit in one call, for training, backtest and service alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import exp, expm1, inf, isfinite, nan
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from rt_predictor_core.features import history as features
from rt_predictor_core.features.table import HistoryRows, assemble
from rt_predictor_core.models import curve
from rt_predictor_core.models.conformal import COVERAGE, HIGHEST, LOWEST, WALLCLOCK_LEVELS, Calibration
from rt_predictor_core.models.curve import unfinished
from rt_predictor_core.models.distribution import Distribution, quantiles
from rt_predictor_core.models.ensemble import Together, say, together
from rt_predictor_core.models.shapes import Shape
from rt_predictor_core.models.target import SHORTEST_SECONDS, Target, seconds, wallclock_or
from rt_predictor_core.models.trees import BinaryForest
from rt_predictor_core.requests import Requests

MINUTE = 60
"""Schedulers keep limits in whole minutes [s]."""

_USUAL = features.FEATURES.index("near_q50_log")
_FOLLOWED = np.array([0.0, *WALLCLOCK_LEVELS, 1.0])


@dataclass(frozen=True)
class Forecasts:
    """Forecasts of ``n`` jobs, of their total run times.

    Attributes
    ----------
    levels: float64[levels], rising, in (0, 1).
    free: float64[n, levels], run times [s] if nothing stops the jobs, never falling along a row.
    wallclock_req: float64[n], requested wallclock [s], NaN if unknown.
    limit: float64[n], when the scheduler kills the job [s]; infinite where it does not.
    tier: uint8[n]. jobs: uint32[n]. See ``features.table.HistoryRows``.
    plain: float64[n, levels], run times [s] before calibration, which ``level_of`` compares with what comes true.
    read: float64[n, 1 + len(WALLCLOCK_LEVELS)], the coverage of the plain quantiles that the interval takes, and their
    levels at which recommended wallclocks lie.
    chance: float64[n], probability to run into the requested wallclock before the start; NaN without one.
    usual: float64[n], what the job's neighbours took [s]; NaN where there are none.
    elapsed: float64[n], how long the jobs have run [s]; None before they start.
    """

    levels: np.ndarray
    free: np.ndarray
    wallclock_req: np.ndarray
    limit: np.ndarray
    tier: np.ndarray
    jobs: np.ndarray
    plain: np.ndarray
    read: np.ndarray
    chance: np.ndarray
    usual: np.ndarray
    elapsed: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.free)

    def given(self, elapsed: np.ndarray) -> Forecasts:
        """Return what is to be said of the same jobs once they have run for ``elapsed``, float64[n] in seconds."""
        return replace(self, elapsed=elapsed)

    @cached_property
    def distribution(self) -> Distribution:
        """The distribution that the quantiles describe."""
        elapsed = np.zeros(len(self)) if self.elapsed is None else self.elapsed
        return Distribution(self.levels, self.free, self.limit, elapsed)

    @cached_property
    def quantiles(self) -> np.ndarray:
        """Run times [s], float64[n, levels], never falling along a row, never past the limit."""
        return self.distribution.quantile(self.levels)

    @property
    def median(self) -> np.ndarray:
        """Median run time, float64[n] in seconds."""
        return np.asarray(self.quantiles[:, self.levels.searchsorted(0.5)])

    @cached_property
    def interval(self) -> np.ndarray:
        """Ends of the shortest interval that covers ``conformal.COVERAGE`` of such jobs, float64[n, 2] in seconds."""
        known = self.distribution
        return np.asarray(_intervals(self.read, self.levels, self.plain, self.limit, known.elapsed))

    def told(self, risk: float) -> Told:
        """Return all that is said of the jobs at an accepted ``risk``, in (0, 1), for less than piece by piece."""
        if self.elapsed is not None:
            times = np.column_stack([self.quantiles, self.median, self.interval, self.most_likely])
            return Told(times, self.wallclock(risk))
        parts = (self.levels, self.free, self.limit, self.plain, self.read, self.usual, self.wallclock_req)
        return Told(*_told(risk, *parts))

    @property
    def most_likely(self) -> np.ndarray:
        """Most likely run time, float64[n] in seconds.

        What the job's neighbours took, their weighted median; where there are none, and once the job runs, the mode
        of the distribution (``Distribution.mode``).
        """
        if self.elapsed is not None:
            return self.distribution.mode()
        return np.asarray(_likeliest(self.usual, self.levels, self.free, self.limit))

    @property
    def exceeds(self) -> np.ndarray:
        """Probability to run into the requested wallclock, float64[n]; NaN without one."""
        if self.elapsed is None:
            return self.chance
        # of those that come so far; they have run into it where they are there already
        left = np.maximum(1.0 - self.distribution.outlasted, self.chance)
        return np.where(self.elapsed >= self.wallclock_req, 1.0, self.chance / left)

    def at_limit(self, run: np.ndarray) -> np.ndarray:
        """Return which of the jobs that ran for ``run``, float64[n] in seconds, their request killed, bool[n]."""
        return np.asarray(np.isfinite(self.limit) & (run >= self.wallclock_req))

    def wallclock(self, risk: float) -> np.ndarray:
        """Return the wallclock to request so that the job runs longer with probability ``risk``.

        int64[n] in seconds, rounded up to minutes, and never above the request where the scheduler enforces it, unless
        the job has run for longer already. ``risk`` lies in (0, 1); of a job that runs, it is the risk that is left.
        """
        elapsed = self.distribution.elapsed
        return np.asarray(
            _wallclocks(risk, self.read, self.levels, self.plain, self.limit, self.wallclock_req, elapsed)
        )


class Told(NamedTuple):
    """What is said of ``n`` jobs at an accepted risk, as the members of ``Forecasts`` of these names say it.

    Attributes
    ----------
    times: float64[n, levels + 4] in seconds: quantiles, median, the two ends of the interval, most likely.
    wallclock: int64[n] in seconds.
    """

    times: np.ndarray
    wallclock: np.ndarray


@dataclass(frozen=True)
class Forecaster:
    """A trained ensemble: everything between the feature table and the forecast.

    ``weights`` are float64[levels] of each member; at each level they sum to 1, equal among the members that are heard.
    ``chance`` gives the log-odds to run into the requested wallclock, one output. ``calibration`` alone changes, as
    jobs end.
    """

    levels: np.ndarray
    members: Mapping[str, Shape]
    weights: Mapping[str, np.ndarray]
    chance: BinaryForest
    calibration: Calibration
    target: Target

    def said(self, table: np.ndarray) -> Said:
        """Return what the members say of the jobs of a feature table, float32[n, features]."""
        return Said(*say(table, self._together))

    @cached_property
    def _together(self) -> Together:
        heard = {name: weights > 0.0 for name, weights in self.weights.items()}
        return together(len(self.levels), self.members, heard, self.chance)

    def forecast(self, requests: Requests, history: HistoryRows) -> Forecasts:
        """Forecast jobs from their requests and what the history says of them."""
        return self.told(self.inputs(requests, history))

    def inputs(self, requests: Requests, history: HistoryRows) -> Inputs:
        """Return what forecasts made now follow from."""
        return Inputs(requests, history, assemble(requests, history), self.calibration.at(history.tier))

    def told(self, inputs: Inputs) -> Forecasts:
        """Return the forecasts that follow from the inputs."""
        asked = self._asked(inputs.requests, inputs.history, inputs.read)
        return self._made(_forecast(inputs.table, self._together, *asked), inputs.history)

    def level_of(self, plain: np.ndarray, wallclock_req: np.ndarray, run: np.ndarray) -> np.ndarray:
        """Return what calibration learns from jobs that ended after ``run``, float64[n] in seconds: float64[n, 3].

        ``plain`` float64[n, levels] and ``wallclock_req`` float64[n] as in ``Forecasts``.
        """
        distribution = Distribution(self.levels, plain, self.target.limit(wallclock_req), np.zeros(len(plain)))
        return level_of(distribution, run, self.target.leeway)

    def finish(self, said: Said, requests: Requests, history: HistoryRows, read: np.ndarray) -> Forecasts:
        """Turn what the members said into forecasts; ``read`` are each job's levels, see ``Calibration.at``."""
        asked = self._asked(requests, history, read)
        return self._made(_finished(said.raw, said.log_odds, *asked), history)

    def _asked(self, requests: Requests, history: HistoryRows, read: np.ndarray) -> tuple[Any, ...]:
        target = self.target
        scale = (target.usual_wallclock, target.power, target.grace)
        return requests.numbers, history.features, read, self.levels, *scale

    def _made(self, found: tuple[np.ndarray, ...], history: HistoryRows) -> Forecasts:
        free, wallclock_req, limit, plain, read, chance, usual = found
        return Forecasts(
            self.levels, free, wallclock_req, limit, history.tier, history.jobs, plain, read, chance, usual
        )


@dataclass(frozen=True)
class Inputs:
    """All that forecasts of ``n`` jobs by one forecaster follow from.

    Attributes
    ----------
    requests, history: of the jobs. table: float32[n, features]. read: each job's levels, see ``Calibration.at``.
    """

    requests: Requests
    history: HistoryRows
    table: np.ndarray
    read: np.ndarray

    @property
    def key(self) -> bytes:
        """The numbers, to the bit: equal inputs of as many jobs have equal forecasts.

        Requests count by their numbers, which hold the limit; their texts by what the history says of them, which is in
        the table, and their time by its place in the calendar, which is too.
        """
        columns = (self.requests.numbers, self.history.tier, self.history.jobs, self.table, self.read)
        return b"".join(column.tobytes() for column in columns)


@dataclass(frozen=True)
class Said:
    """What the members said of ``n`` jobs.

    Attributes
    ----------
    raw: float64[n, levels], blended quantiles in units of the target, rising. log_odds: float64[n], see ``Forecaster``.
    """

    raw: np.ndarray
    log_odds: np.ndarray


def level_of(plain: Distribution, run: np.ndarray, leeway: float = 0.0) -> np.ndarray:
    """Return at which levels of distributions before calibration run times, float64[n] in seconds, lie: float64[n, 3].

    By the columns of ``conformal``: the probability integral transform, where quantiles coincide the lowest level that
    reaches the time; the coverage of the interval that just reaches it; and, for limits in whole minutes past which a
    job may run for ``leeway`` [s], the lowest level whose time, rounded up, lets the job end.
    """
    whole = (np.ceil((run - leeway) / MINUTE) - 1.0) * MINUTE
    after = np.nextafter(np.maximum(whole, 0.0), np.inf)
    reaching = plain.coverage(run, plain.lean(COVERAGE))
    return np.column_stack([1.0 - plain.exceedance(run), reaching, 1.0 - plain.exceedance(after)])


@njit(cache=True, nogil=True)
def _finished(  # noqa: PLR0913, PLR0917 - compiled code takes no objects
    raw: np.ndarray,
    log_odds: np.ndarray,
    numbers: np.ndarray,
    known: np.ndarray,
    read: np.ndarray,
    levels: np.ndarray,
    usual_wallclock: float,
    power: float,
    grace: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return ``free``, ``wallclock_req``, ``limit``, ``plain``, ``read``, ``chance`` and ``usual`` of ``Forecasts``.

    ``numbers`` are of ``Requests``, ``known`` the features of ``HistoryRows``.
    """
    wallclock_req = numbers[:, 0].copy()
    plain = seconds(raw, wallclock_req, usual_wallclock, power)
    free, jobs = np.empty(plain.shape), len(plain)
    limit, chance, usual = np.empty(jobs), np.empty(jobs), np.empty(jobs)
    for i in range(jobs):
        asked = np.sort(read[i, : len(levels)])
        for q in range(len(levels)):
            free[i, q] = max(curve.quantile(asked[q], 1.0, levels, plain[i], inf, 0.0), SHORTEST_SECONDS)
        limit[i] = wallclock_or(wallclock_req[i], inf, grace)
        chance[i] = nan if np.isnan(wallclock_req[i]) else 1.0 / (1.0 + exp(-log_odds[i]))
        usual[i] = expm1(np.float64(known[i, _USUAL]))
    return free, wallclock_req, limit, plain, read[:, len(levels) :].copy(), chance, usual


@njit(cache=True, nogil=True)
def _forecast(table: np.ndarray, members: Together, *asked: Any) -> tuple[np.ndarray, ...]:
    """Return ``_finished`` of what members say, by one call from Python; ``asked`` is what that takes besides."""
    raw, log_odds = say(table, members)
    return _finished(raw, log_odds, *asked)


@njit(cache=True, nogil=True)
def _intervals(
    read: np.ndarray, levels: np.ndarray, plain: np.ndarray, limit: np.ndarray, elapsed: np.ndarray
) -> np.ndarray:
    """Return the ends of the shortest intervals, float64[n, 2]; see ``Distribution.lean`` and ``.interval``."""
    out = np.empty((len(plain), 2))
    for i in range(len(plain)):
        left = unfinished(elapsed[i], False, levels, plain[i])
        lean = curve.lean(COVERAGE, left, levels, plain[i], limit[i], elapsed[i])
        ends = (lean * (1.0 - read[i, 0]), lean + read[i, 0] * (1.0 - lean))
        for j in range(2):
            time = curve.quantile(ends[j], left, levels, plain[i], limit[i], elapsed[i])
            out[i, j] = max(time, SHORTEST_SECONDS)
    return out


@njit(cache=True, nogil=True)
def _likeliest(usual: np.ndarray, levels: np.ndarray, free: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """Return the usual times within the limits, and the mode where there is none, float64[n]."""
    out = np.empty(len(usual))
    for i in range(len(usual)):
        if np.isnan(usual[i]):
            out[i] = curve.mode(1.0, levels, free[i], limit[i], 0.0)
        else:
            out[i] = min(max(usual[i], SHORTEST_SECONDS), limit[i])
    return out


@njit(cache=True, nogil=True)
def _wallclocks(
    risk: float,
    read: np.ndarray,
    levels: np.ndarray,
    plain: np.ndarray,
    limit: np.ndarray,
    wallclock_req: np.ndarray,
    elapsed: np.ndarray,
) -> np.ndarray:
    """Return the wallclocks that all but a share of the jobs keep, of those that have come so far, int64[n].

    Between the levels that are followed, and to 0 and 1, one line leads.
    """
    out, followed, level = np.empty(len(plain), np.int64), np.empty(len(_FOLLOWED)), 1.0 - risk
    for i in range(len(plain)):
        followed[0], followed[1:-1], followed[-1] = 0.0, read[i, 1:], 1.0
        rising = np.sort(followed)
        ended = 1.0 - unfinished(elapsed[i], False, levels, plain[i]) if elapsed[i] > 0.0 else 0.0
        outlasted = np.interp(ended, rising, _FOLLOWED)
        asked = np.interp(1.0 - (1.0 - level) * (1.0 - outlasted), _FOLLOWED, rising)
        time = curve.quantile(min(max(asked, LOWEST), HIGHEST), 1.0, levels, plain[i], inf, 0.0)
        if elapsed[i] > 0.0:
            time = max(time, np.nextafter(elapsed[i], inf))
        most = wallclock_req[i] if isfinite(limit[i]) else inf
        out[i] = curve.whole(min(time, max(limit[i], elapsed[i]), max(most, elapsed[i])), MINUTE)
    return out


@njit(cache=True, nogil=True)
def _told(  # noqa: PLR0913, PLR0917
    risk: float,
    levels: np.ndarray,
    free: np.ndarray,
    limit: np.ndarray,
    plain: np.ndarray,
    read: np.ndarray,
    usual: np.ndarray,
    wallclock_req: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return ``Told`` of jobs before they start."""
    elapsed, split = np.zeros(len(free)), len(levels)
    times = np.empty((len(free), split + 4))
    times[:, :split] = quantiles(levels.reshape(1, -1), levels, free, limit, elapsed)
    times[:, split] = times[:, np.searchsorted(levels, 0.5)]
    times[:, split + 1 : split + 3] = _intervals(read, levels, plain, limit, elapsed)
    times[:, split + 3] = _likeliest(usual, levels, free, limit)
    return times, _wallclocks(risk, read, levels, plain, limit, wallclock_req, elapsed)
