"""Conformal calibration of the quantiles, per history tier.

Each quantile level is moved by the amount that made it hold on newer jobs, which no member had seen: conformalized
quantile regression with one-sided levels (Romano, Patterson, Candes, "Conformalized Quantile Regression", NeurIPS
2019, asymmetric form), by group (Mondrian). Small groups lean on the whole. The median stays as the members gave it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rt_predictor_core.features.keys import TIERS

SHRINKAGE_JOBS = 200.0
"""A tier with this many jobs weighs its own offset and that of all jobs equally."""

_MEDIAN = 0.5


@dataclass(frozen=True)
class Conformal:
    """Offsets of the quantiles in units of the target, float64[len(TIERS), levels]."""

    offsets: np.ndarray

    def apply(self, quantiles: np.ndarray, tier: np.ndarray) -> np.ndarray:
        """Return calibrated quantiles float64[n, levels] for jobs of the given tiers, uint8[n]."""
        return np.asarray(quantiles + self.offsets[tier])


def fit(quantiles: np.ndarray, y: np.ndarray, tier: np.ndarray, levels: np.ndarray) -> Conformal:
    """Learn the offsets from jobs that the members had not seen.

    ``quantiles`` float64[n, levels] and ``y`` float64[n] are in units of the target. Without jobs there is nothing
    to learn and all offsets are 0.
    """
    offsets = np.zeros((len(TIERS), len(levels)))
    residuals = y[:, None] - quantiles
    for column, level in enumerate(levels):
        if level == _MEDIAN or not len(y):
            continue
        overall = conformal_quantile(residuals[:, column], level)
        for t in range(len(TIERS)):
            own = residuals[tier == t, column]
            share = len(own) / (len(own) + SHRINKAGE_JOBS)
            special = conformal_quantile(own, level) if len(own) else overall
            offsets[t, column] = share * special + (1.0 - share) * overall
    return Conformal(offsets)


def conformal_quantile(residuals: np.ndarray, level: float) -> float:
    """Return the residual that a new, exchangeable one stays under with probability ``level``.

    The finite-sample rank moves away from the median on both sides, so that intervals err towards covering.
    """
    n = len(residuals)
    rank = (n + 1) * level
    rank = np.ceil(rank) if level > _MEDIAN else np.floor(rank)
    return float(np.sort(residuals)[int(np.clip(rank, 1, n)) - 1])
