"""Adaptive conformal calibration: which level to read so that what is said holds, per history tier.

Each ended job tells at which level of its own forecast its run time lay. For every tier and nominal level one number
follows those levels: the level to read instead. It rises when too many jobs lie above it and falls when too few do,
so coverage holds in the long run whatever drifts: adaptive conformal inference (Gibbs, Candes, "Adaptive Conformal
Inference Under Distribution Shift", NeurIPS 2021), as quantile tracking (Angelopoulos, Candes, Tibshirani, "Conformal
PID Control for Time Series Prediction", NeurIPS 2023), by group (Mondrian). Levels have no unit, so that one step
fits every site. The median quantile stays as the members gave it.

Three kinds of level are followed: those of the quantiles, that of the interval, and those of recommended wallclocks,
which count in whole minutes and so hold for more jobs than the quantile below them.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from rt_predictor_core.features.keys import TIERS

COVERAGE: Final = 0.9
"""Share of jobs that the interval should cover."""

WALLCLOCK_LEVELS: Final = (0.5, 0.7, 0.8, 0.9, 0.95, 0.99)
"""One minus the accepted risks of a recommended wallclock that are followed; others lie between them."""

STEP: Final = 0.01
"""How far a missed quantile moves its level, times the probability of such a miss."""

LOWEST, HIGHEST = 1e-3, 1.0 - 1e-4
"""No level below or above these is read."""

SHRINKAGE_JOBS: Final = 200.0
"""A tier with this many jobs starts halfway between the levels of its own jobs and of all jobs."""

MEDIAN: Final = 0.5

QUANTILE, INTERVAL, WALLCLOCK = 0, 1, 2
"""Columns of ``level_of_run``: of the run time itself, of the interval that reaches it, of it in whole minutes."""


@njit(cache=True, nogil=True)
def _learn(read: np.ndarray, level_of_run: np.ndarray, levels: np.ndarray, kind: np.ndarray) -> None:
    for i in range(len(levels)):
        if kind[i] == QUANTILE and levels[i] == MEDIAN:
            continue
        missed = 1.0 if level_of_run[kind[i]] > read[i] else 0.0
        read[i] = min(max(read[i] + STEP * (missed - (1.0 - levels[i])), LOWEST), HIGHEST)


@njit(cache=True, nogil=True)
def _track(
    ends: np.ndarray,
    jobs: np.ndarray,
    tier: np.ndarray,
    level_of_run: np.ndarray,
    levels: np.ndarray,
    kind: np.ndarray,
    read: np.ndarray,
    out: np.ndarray,
) -> None:
    for e in range(len(jobs)):
        j = jobs[e]
        if ends[e]:
            _learn(read[tier[j]], level_of_run[j], levels, kind)
        else:
            out[j] = read[tier[j]]


class Calibration:
    """The levels to read now, per tier.

    Attributes
    ----------
    levels: float64[m], nominal: of the quantiles, then ``COVERAGE`` and ``WALLCLOCK_LEVELS``.
    kind: int64[m], which column of ``level_of_run`` each is compared with.
    read: float64[len(TIERS), m], what to read instead.
    """

    def __init__(self, quantile_levels: np.ndarray, read: np.ndarray | None = None) -> None:
        self.levels = np.array([*quantile_levels, COVERAGE, *WALLCLOCK_LEVELS])
        self.kind = np.repeat([QUANTILE, INTERVAL, WALLCLOCK], [len(quantile_levels), 1, len(WALLCLOCK_LEVELS)])
        self.read = np.tile(self.levels, (len(TIERS), 1)) if read is None else read.copy()
        if self.read.shape != (len(TIERS), len(self.levels)):
            raise ValueError(
                f"calibration {self.read.shape} does not fit {len(TIERS)} tiers, {len(self.levels)} levels"
            )
        if not ((self.read >= LOWEST) & (self.read <= HIGHEST)).all():
            raise ValueError(f"calibration: a level does not fit [{LOWEST}, {HIGHEST}]")

    def at(self, tier: np.ndarray) -> np.ndarray:
        """Return the levels to read for jobs of the tiers, uint8[n]: float64[n, m]."""
        return self.read.take(tier, axis=0)

    def learn(self, tier: int, level_of_run: np.ndarray) -> None:
        """Take in at which levels of what was forecast before calibration a run time lay, float64[3]."""
        _learn(self.read[tier], level_of_run, self.levels, self.kind)

    def start(self, tier: np.ndarray, level_of_run: np.ndarray) -> None:
        """Begin with the levels that held on ``n`` ended jobs, float64[n, 3]; without jobs nothing changes."""
        if not len(tier):
            return
        overall = self._held(level_of_run)
        for t in range(len(TIERS)):
            own = level_of_run[tier == t]
            share = len(own) / (len(own) + SHRINKAGE_JOBS)
            special = self._held(own) if len(own) else overall
            self.read[t] = np.clip(share * special + (1.0 - share) * overall, LOWEST, HIGHEST)

    def track(
        self, ends: np.ndarray, jobs: np.ndarray, tier: np.ndarray, level_of_run: np.ndarray, out: np.ndarray
    ) -> None:
        """Run through events in order: bool[m] whether job ``jobs[e]``, int64[m], ended or was submitted.

        Writes the levels to read for each submitted job into ``out``, float64[n, m].
        """
        _track(ends, jobs, tier, level_of_run, self.levels, self.kind, self.read, out)

    def _held(self, level_of_run: np.ndarray) -> np.ndarray:
        held = np.empty(len(self.levels))
        for kind in (QUANTILE, INTERVAL, WALLCLOCK):
            own = self.kind == kind
            held[own] = _levels_that_held(level_of_run[:, kind], self.levels[own])
        held[(self.kind == QUANTILE) & (self.levels == MEDIAN)] = MEDIAN
        return held


def _levels_that_held(level_of_run: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return for each level the one under which such a share of the jobs lay, erring away from the median."""
    n = len(level_of_run)
    ranks = (n + 1) * levels
    ranks = np.clip(np.where(levels > MEDIAN, np.ceil(ranks), np.floor(ranks)), 1, n).astype(int)
    return np.asarray(np.sort(level_of_run)[ranks - 1])
