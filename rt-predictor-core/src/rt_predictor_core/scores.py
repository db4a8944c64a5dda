"""Scores: one definition for training, backtest, gate and live monitoring.

All take run times in seconds, float64[n], and leave nothing out; n = 0 gives NaN.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

HOUR, MINUTE = 3600.0, 60.0

POINT_SCORES = ("mae_h", "median_ae_min", "rmse_h", "ratio_accuracy", "r2", "r2_log", "under_rate")
"""Names of what ``point_scores`` returns, as in the backtest's JSON."""


def point_scores(predicted: np.ndarray, run: np.ndarray) -> dict[str, float]:
    """Return the scores of a point forecast, by the names and in the units of the backtest's JSON."""
    if not len(run):
        return dict.fromkeys(POINT_SCORES, np.nan)
    error = np.abs(predicted - run)
    return {
        "mae_h": float(error.mean() / HOUR),
        "median_ae_min": float(np.median(error) / MINUTE),
        "rmse_h": float(np.sqrt((error**2).mean()) / HOUR),
        "ratio_accuracy": float((np.minimum(predicted, run) / np.maximum(predicted, run)).mean()),
        "r2": _r2(predicted, run),
        "r2_log": _r2(np.log1p(predicted), np.log1p(run)),
        "under_rate": float((predicted < run).mean()),
    }


def interval_scores(lower: np.ndarray, upper: np.ndarray, run: np.ndarray) -> dict[str, float]:
    """Return coverage and mean width [h] of a 90 % interval, by the names of the backtest's JSON."""
    if not len(run):
        return {"coverage_90": np.nan, "width_90_h": np.nan}
    return {
        "coverage_90": float(((lower <= run) & (run <= upper)).mean()),
        "width_90_h": float((upper - lower).mean() / HOUR),
    }


def pinball(quantiles: np.ndarray, y: np.ndarray, levels: np.ndarray) -> float:
    """Return the mean pinball loss of quantiles float64[n, levels] (Koenker and Bassett, Econometrica 46(1), 1978)."""
    return float(_pinball(quantiles, y, levels).mean())


def pinball_losses(quantiles: np.ndarray, y: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return the pinball loss of each row, float64[n], the mean over its levels."""
    return np.asarray(_pinball(quantiles, y, levels).mean(axis=1))


def pinball_by_level(quantiles: np.ndarray, y: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return the mean pinball loss of each level, float64[levels]."""
    return np.asarray(_pinball(quantiles, y, levels).mean(axis=0))


def _pinball(quantiles: np.ndarray, y: np.ndarray, levels: np.ndarray) -> np.ndarray:
    error = y[:, None] - quantiles
    return np.asarray(np.maximum(levels * error, (levels - 1.0) * error))


def attained(quantiles: np.ndarray, run: np.ndarray) -> np.ndarray:
    """Return the share of jobs that ran no longer than each quantile, float64[levels]; it should equal the level."""
    if not len(run):
        return np.full(quantiles.shape[1], np.nan)
    return np.asarray((run[:, None] <= quantiles).mean(axis=0))


def ran_past(run: np.ndarray, bound: np.ndarray, at_limit: np.ndarray) -> np.ndarray:
    """Return which jobs ran, or would have run, longer than a bound, bool[n].

    A job that ran into its limit would have run longer, so that reaching the bound is enough.
    """
    return (run > bound) | (at_limit & (run >= bound))


def cut_short(
    run: np.ndarray, bound: np.ndarray, wallclock_req: np.ndarray, at_limit: np.ndarray, leeway: float
) -> np.ndarray:
    """Return which jobs a recommended wallclock would have killed and their request did not, bool[n].

    ``leeway`` [s]: see ``models.target.Target``. A job whose own request killed it counts only where the recommended
    wallclock is shorter.
    """
    return (run > bound + leeway) & ~(at_limit & (bound >= wallclock_req))


def rate(happened: np.ndarray) -> float:
    """Return the share of jobs to which something happened, bool[n]."""
    return float(happened.mean()) if len(happened) else float("nan")


def mean_ratio(part: np.ndarray, whole: np.ndarray) -> float:
    """Return the mean of part / whole over the jobs where ``whole`` is known."""
    known = ~np.isnan(whole)
    return float((part[known] / whole[known]).mean()) if known.any() else float("nan")


EVENT_BINS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Edges for the reliability of a probability: narrow where risks are small, as most are. The upper edge is inside."""


def event_reliability(probability: np.ndarray, happened: np.ndarray) -> list[dict[str, float]]:
    """Return, per bin of a predicted probability float64[n], what was predicted and how often it happened.

    Rows hold ``from``, ``to``, ``jobs``, ``predicted`` (mean of the bin) and ``measured``. Jobs without a probability
    (NaN) are left out (reliability diagram: Broecker and Smith, Weather and Forecasting 22(3), 2007).
    """
    known = ~np.isnan(probability)
    probability, happened = probability[known], happened[known]
    bins = np.maximum(np.searchsorted(EVENT_BINS, probability, side="left") - 1, 0)
    rows = []
    for i, (lower, upper) in enumerate(pairwise(EVENT_BINS)):
        inside = bins == i
        rows.append(
            {
                "from": lower,
                "to": upper,
                "jobs": int(inside.sum()),
                "predicted": float(probability[inside].mean()) if inside.any() else float("nan"),
                "measured": rate(happened[inside]),
            }
        )
    return rows


def _r2(predicted: np.ndarray, true: np.ndarray) -> float:
    spread = float(((true - true.mean()) ** 2).sum())
    return 1.0 - float(((predicted - true) ** 2).sum()) / spread if spread > 0.0 else float("nan")
