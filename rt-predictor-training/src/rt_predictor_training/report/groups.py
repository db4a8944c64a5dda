"""The jobs of a backtest in groups: every job is in exactly one group of each kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rt_predictor_core.features.keys import TIERS
from rt_predictor_formats.times import DAY, HOUR, MINUTE

TENTHS = 10

_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday; Monday is 0

_BAND_TOPS = (10 * MINUTE, HOUR, 4 * HOUR, 12 * HOUR, DAY)
# a job that a limit of a whole day killed belongs below the edge, so the upper one is inside
BANDS = ("up to 10 min", "10-60 min", "1-4 h", "4-12 h", "12-24 h", "over 1 d")
"""Bands of the true run time; the upper edge is inside."""


class Jobs(Protocol):
    """What jobs are grouped by, of ``n`` jobs in submit order.

    Attributes
    ----------
    submit_time: int64[n], seconds since 1970. run: float64[n], run times [s]. tier: uint8[n], index into ``TIERS``.
    """

    @property
    def submit_time(self) -> np.ndarray: ...  # noqa: D102 - see the class
    @property
    def run(self) -> np.ndarray: ...  # noqa: D102
    @property
    def tier(self) -> np.ndarray: ...  # noqa: D102
    def __len__(self) -> int: ...


@dataclass(frozen=True)
class Group:
    """Some jobs: what they have in common, and their rows, int64[jobs]."""

    label: str
    rows: np.ndarray


def by_tier(jobs: Jobs) -> list[Group]:
    """Return the jobs by history tier, from no history to the closest."""
    return [Group(label, np.flatnonzero(jobs.tier == i)) for i, label in enumerate(TIERS)]


def by_band(jobs: Jobs) -> list[Group]:
    """Return the jobs by band of their true run time."""
    band = np.searchsorted(_BAND_TOPS, jobs.run, side="left")
    return [Group(label, np.flatnonzero(band == i)) for i, label in enumerate(BANDS)]


def by_month(jobs: Jobs) -> list[Group]:
    """Return the jobs by month of their submission (UTC), for the months that have any."""
    month = jobs.submit_time.astype("datetime64[s]").astype("datetime64[M]")
    return [Group(str(label), np.flatnonzero(month == label)) for label in np.unique(month)]


def by_week(jobs: Jobs) -> list[Group]:
    """Return the jobs by week of their submission (UTC), named by its Monday, for the weeks that have any."""
    day = jobs.submit_time.astype("datetime64[s]").astype("datetime64[D]")
    monday = day - (day.astype(np.int64) + _EPOCH_WEEKDAY) % 7
    return [Group(str(label), np.flatnonzero(monday == label)) for label in np.unique(monday)]


def by_tenth(jobs: Jobs) -> list[Group]:
    """Return consecutive tenths of the jobs, as even as their number allows."""
    parts = np.array_split(np.arange(len(jobs)), TENTHS)
    return [Group(str(i), rows) for i, rows in enumerate(parts, 1)]
