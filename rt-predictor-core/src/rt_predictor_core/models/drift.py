"""Drift: how far the values of a feature have come from those that a model was trained on.

The population stability index, sum of (actual - expected) * ln(actual / expected) over the bins of the reference
(Siddiqi, "Credit Risk Scorecards", 2006): below 0.1 nothing moved, above 0.25 the population is another one.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from rt_predictor_core.features.table import NAMES

FLOOR: Final = 1e-4
"""Share that an empty bin is taken to have."""

FEWEST_ROWS: Final = 500
"""Of fewer rows nothing is told: chance alone moves ten bins by about 10 / rows."""

UNFOLLOWED: Final = frozenset(
    {"hour_of_day", "day_of_week", *(f"{key}_log_ended" for key in ("site", "partition", "account"))}
)
"""Features that differ from training by nature: a window has other hours than a year, and these counts only rise."""


def population_stability(shares: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Return the index of each feature, float64[features].

    ``shares`` float64[features, bins] as in ``Reference``, ``counted`` int64[features, bins] of the same bins; NaN
    where fewer than ``FEWEST_ROWS`` were counted.
    """
    rows = counted.sum(axis=1, keepdims=True)
    expected, actual = np.maximum(shares, FLOOR), np.maximum(counted / np.maximum(rows, 1), FLOOR)
    index = ((actual - expected) * np.log(actual / expected)).sum(axis=1)
    return np.where(rows[:, 0] >= FEWEST_ROWS, index, np.nan)


def followed(used: int) -> list[int]:
    """Return the columns of the table that are followed of a model that uses the first ``used`` of them."""
    return [column for column, name in enumerate(NAMES[:used]) if name not in UNFOLLOWED]
