"""The jobs of a backtest in groups: every job is in exactly one group of each kind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rt_predictor_core.features.keys import TIERS
from rt_predictor_formats.times import DAY, HOUR, MINUTE
from rt_predictor_training.outcome import Outcome

TENTHS = 10

_BAND_TOPS = (10 * MINUTE, HOUR, 4 * HOUR, 12 * HOUR, DAY)
# a job that a limit of a whole day killed belongs below the edge, so the upper one is inside
BANDS = ("up to 10 min", "10-60 min", "1-4 h", "4-12 h", "12-24 h", "over 1 d")
"""Bands of the true run time; the upper edge is inside."""


@dataclass(frozen=True)
class Group:
    """Some jobs: what they have in common, and their rows, int64[jobs]."""

    label: str
    rows: np.ndarray


def by_tier(outcome: Outcome) -> list[Group]:
    """Return the jobs by history tier, from no history to the closest."""
    return [Group(label, np.flatnonzero(outcome.tier == i)) for i, label in enumerate(TIERS)]


def by_band(outcome: Outcome) -> list[Group]:
    """Return the jobs by band of their true run time."""
    band = np.searchsorted(_BAND_TOPS, outcome.run, side="left")
    return [Group(label, np.flatnonzero(band == i)) for i, label in enumerate(BANDS)]


def by_month(outcome: Outcome) -> list[Group]:
    """Return the jobs by month of their submission (UTC), for the months that have any."""
    month = outcome.submit_time.astype("datetime64[s]").astype("datetime64[M]")
    return [Group(str(label), np.flatnonzero(month == label)) for label in np.unique(month)]


def by_tenth(outcome: Outcome) -> list[Group]:
    """Return consecutive tenths of the jobs, as even as their number allows."""
    parts = np.array_split(np.arange(len(outcome)), TENTHS)
    return [Group(str(i), rows) for i, rows in enumerate(parts, 1)]
