"""The forecaster: members, blend, calibration and limit in one call, for training, backtest and service alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from rt_predictor_core.features.table import HistoryRows, assemble
from rt_predictor_core.models.blend import blend, monotone
from rt_predictor_core.models.conformal import Conformal
from rt_predictor_core.models.distribution import Distribution
from rt_predictor_core.models.target import Target
from rt_predictor_core.models.trees import Forest
from rt_predictor_core.requests import Requests

MINUTE = 60
"""Schedulers keep limits in whole minutes [s]."""


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
    elapsed: float64[n], how long the jobs have run [s]; None before they start.
    """

    levels: np.ndarray
    free: np.ndarray
    wallclock_req: np.ndarray
    limit: np.ndarray
    tier: np.ndarray
    jobs: np.ndarray
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
        return np.asarray(self.quantiles[:, np.searchsorted(self.levels, 0.5)])

    @property
    def most_likely(self) -> np.ndarray:
        """Most likely run time, float64[n] in seconds; see ``Distribution.mode``."""
        return self.distribution.mode()

    @property
    def exceeds(self) -> np.ndarray:
        """Probability to run into the requested wallclock, float64[n]; NaN without one."""
        return self.distribution.exceedance(self.wallclock_req)

    def wallclock(self, risk: float) -> np.ndarray:
        """Return the wallclock to request so that the job runs longer with probability ``risk``.

        int64[n] in seconds, rounded up to minutes, and never above the request where the scheduler enforces it, unless
        the job has run for longer already. ``risk`` lies in (0, 1). See ``Distribution.quantile``.
        """
        exact = self.distribution.quantile(1.0 - risk)
        request = np.where(np.isfinite(self.limit), self.wallclock_req, np.inf)
        exact = np.minimum(exact, np.maximum(request, self.distribution.elapsed))
        return np.asarray(np.ceil(exact / MINUTE) * MINUTE, np.int64)


@dataclass(frozen=True)
class Forecaster:
    """A trained ensemble: everything between the feature table and the forecast."""

    levels: np.ndarray
    members: Mapping[str, Forest]
    weights: Mapping[str, float]
    conformal: Conformal
    target: Target

    def raw(self, table: np.ndarray) -> np.ndarray:
        """Return the blended quantiles before calibration, float64[n, levels] in units of the target."""
        used = [name for name in self.members if self.weights[name] > 0.0]
        return blend([self.members[name].evaluate(table) for name in used], [self.weights[name] for name in used])

    def forecast(self, requests: Requests, history: HistoryRows) -> Forecasts:
        """Forecast jobs from their requests and what the history says of them."""
        return self.finish(self.raw(assemble(requests, history)), requests, history)

    def finish(self, raw: np.ndarray, requests: Requests, history: HistoryRows) -> Forecasts:
        """Turn blended quantiles in units of the target into forecasts."""
        wallclock = requests.wallclock_req
        y = monotone(self.conformal.apply(monotone(raw), history.tier))
        free = self.target.backward(y, wallclock)
        limit = self.target.limit(wallclock)
        return Forecasts(
            levels=self.levels,
            free=free,
            wallclock_req=wallclock,
            limit=limit,
            tier=history.tier,
            jobs=history.jobs,
        )
