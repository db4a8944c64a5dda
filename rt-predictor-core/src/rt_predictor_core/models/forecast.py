"""The forecaster: members, blend, calibration and limit in one call, for training, backtest and service alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rt_predictor_core.features.table import HistoryRows, assemble
from rt_predictor_core.models.blend import blend, monotone
from rt_predictor_core.models.conformal import Conformal
from rt_predictor_core.models.target import Target
from rt_predictor_core.models.trees import Forest
from rt_predictor_core.requests import Requests

MINUTE = 60
"""Schedulers keep limits in whole minutes [s]."""


@dataclass(frozen=True)
class Forecasts:
    """Forecasts of ``n`` jobs.

    Attributes
    ----------
    levels: float64[levels], rising, in (0, 1).
    quantiles: float64[n, levels], run times [s], never falling along a row, never past the limit.
    wallclock_req: float64[n], requested wallclock [s], NaN if unknown.
    exceeds: float64[n], probability to run past the request; NaN without one.
    tier: uint8[n]. jobs: uint32[n]. See ``features.table.HistoryRows``.
    """

    levels: np.ndarray
    quantiles: np.ndarray
    wallclock_req: np.ndarray
    limit: np.ndarray
    exceeds: np.ndarray
    tier: np.ndarray
    jobs: np.ndarray

    def __len__(self) -> int:
        return len(self.quantiles)

    @property
    def median(self) -> np.ndarray:
        """Median run time, float64[n] in seconds."""
        return np.asarray(self.quantiles[:, np.searchsorted(self.levels, 0.5)])

    def wallclock(self, risk: float) -> np.ndarray:
        """Return the wallclock to request so that the job runs longer with probability ``risk``.

        int64[n] in seconds, rounded up to minutes, and never above the request where the scheduler enforces it.
        ``risk`` lies in (0, 1). Between levels the quantiles are joined by straight lines; above the highest they
        rise to the limit, or as steeply as below it where there is none.
        """
        level = 1.0 - risk
        levels, quantiles = self._with_top()
        right = int(np.clip(np.searchsorted(levels, level), 1, len(levels) - 1))
        left = right - 1
        share = (level - levels[left]) / (levels[right] - levels[left])
        exact = quantiles[:, left] + max(share, 0.0) * (quantiles[:, right] - quantiles[:, left])
        exact = np.minimum(exact, np.where(np.isfinite(self.limit), self.wallclock_req, np.inf))
        return np.asarray(np.ceil(exact / MINUTE) * MINUTE, np.int64)

    def _with_top(self) -> tuple[np.ndarray, np.ndarray]:
        slope = (self.quantiles[:, -1] - self.quantiles[:, -2]) / (self.levels[-1] - self.levels[-2])
        steep = self.quantiles[:, -1] + slope * (1.0 - self.levels[-1])
        top = np.where(np.isfinite(self.limit), self.limit, steep)
        return np.append(self.levels, 1.0), np.column_stack([self.quantiles, top])


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
            quantiles=np.minimum(free, limit[:, None]),
            wallclock_req=wallclock,
            limit=limit,
            exceeds=exceedance(self.levels, free, wallclock),
            tier=history.tier,
            jobs=history.jobs,
        )


def exceedance(levels: np.ndarray, quantiles: np.ndarray, wallclock_req: np.ndarray) -> np.ndarray:
    """Return the probability of running past the request, float64[n]; NaN without one.

    ``quantiles`` float64[n, levels] in seconds are joined by straight lines; below the lowest the probability rises
    to 1 at zero seconds, above the highest it falls off as one over the distance, in units of the interval's width.
    """
    out = np.full(len(quantiles), np.nan)
    for i in np.flatnonzero(~np.isnan(wallclock_req)):
        request, row = wallclock_req[i], quantiles[i]
        if request < row[-1]:
            out[i] = 1.0 - np.interp(request, np.append(0.0, row), np.append(0.0, levels))
        else:
            width = max(row[-1] - row[0], 1.0)
            out[i] = (1.0 - levels[-1]) * width / (width + request - row[-1])
    return out
