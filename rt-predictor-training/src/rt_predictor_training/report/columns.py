"""The scores of a method as columns: one list for the terminal and the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rt_predictor_training.report.words import number


def _smallest(value: float) -> float:
    return value


def _largest(value: float) -> float:
    return -value


def _nearest_90(value: float) -> float:
    return abs(value - 0.9)


@dataclass(frozen=True)
class Column:
    """One score.

    Attributes
    ----------
    key: as in the backtest's JSON. heading: with the unit. meaning: in words. distance: what the best method has least
    of; None where no value is best by itself. digits, scale: how it is written.
    """

    key: str
    heading: str
    meaning: str
    distance: Callable[[float], float] | None
    digits: int
    scale: float = 1.0

    def text(self, row: dict[str, Any]) -> str:
        """Return the row's value as it is shown."""
        return number(row.get(self.key), self.digits, self.scale)

    def best(self, rows: Sequence[dict[str, Any]]) -> str | None:
        """Return the best value as it is shown, None if no value is better than another."""
        values = [row for row in rows if row.get(self.key) is not None]
        distance = self.distance
        if distance is None or len(values) < 2:  # noqa: PLR2004 - one alone is not the best
            return None
        return self.text(min(values, key=lambda row: distance(row[self.key])))


MAE = Column("mae_h", "MAE h", "mean absolute error", _smallest, 3)
MEDIAN = Column("median_ae_min", "median AE min", "half of all jobs are off by less", _smallest, 2)
RMSE = Column("rmse_h", "RMSE h", "root of the mean squared error; large errors weigh more", _smallest, 2)
RATIO = Column("ratio_accuracy", "ratio", "mean of the smaller over the larger of forecast and truth", _largest, 3)
R2 = Column("r2", "R²", "share of the spread of run times that is explained", _largest, 3)
R2_LOG = Column("r2_log", "R² log", "the same for the logarithms of run times", _largest, 3)
UNDER = Column("under_rate", "under %", "jobs that ran longer than the forecast", None, 1, 100)
COVERAGE = Column("coverage_90", "coverage 90 %", "jobs that ended within their 90 % interval", _nearest_90, 1, 100)
WIDTH = Column("width_90_h", "width h", "mean width of the 90 % interval", None, 2)

SUMMARY = (MAE, MEDIAN, RATIO, UNDER, COVERAGE, WIDTH)
"""Columns of training's summary, whose manifests hold no others in older releases."""

ALL = (MAE, MEDIAN, RMSE, RATIO, R2, R2_LOG, UNDER, COVERAGE, WIDTH)
"""Columns of a backtest."""
