"""The member that needs no training: what the user's resembling jobs did, as quantiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rt_predictor_core.features import neighbours
from rt_predictor_core.features.table import NAMES
from rt_predictor_core.models.arrays import Flat
from rt_predictor_core.models.target import Target

WIDTHS = {"neighbours": "near", "neighbours_wide": "wide"}
"""The kernel, one of ``features.neighbours.WIDTHS``, of each member of this shape, by the name in reports."""

SHAPE = "neighbours"
"""Name of the shape in manifests."""

_REQUEST = NAMES.index("log_wallclock_req")


@dataclass(frozen=True)
class Neighbours(Flat):
    """Quantiles of ``features.neighbours``, read out of the feature table and put into units of the target.

    Attributes
    ----------
    levels: float64[levels]. columns: int64[len(features.neighbours.LEVELS)], of one kernel's quantiles in the table.
    target: float64[3], power, usual_wallclock and grace of ``Target``.
    """

    levels: np.ndarray
    columns: np.ndarray
    target: np.ndarray

    @classmethod
    def of(cls, levels: np.ndarray, target: Target, width: str) -> Neighbours:
        """Return the member for a kernel, one of ``features.neighbours.WIDTHS``."""
        columns = [NAMES.index(f"{width}_q{100 * level:02.0f}_log") for level in neighbours.LEVELS]
        return cls(levels, np.array(columns), np.array([target.power, target.usual_wallclock, target.grace]))

    def evaluate(self, table: np.ndarray) -> np.ndarray:
        """Return float64[n, levels] for a feature table float32[n, features]; NaN where nothing has ended."""
        known, wanted = np.array(neighbours.LEVELS), self.levels
        # straight lines between the known levels, the outermost beyond them
        right = np.clip(np.searchsorted(known, wanted), 1, len(known) - 1)
        share = np.clip((wanted - known[right - 1]) / (known[right] - known[right - 1]), 0.0, 1.0)
        run = np.expm1(table[:, self.columns].astype(np.float64))
        run = (1.0 - share) * run[:, right - 1] + share * run[:, right]
        target = Target(*self.target.tolist())
        request = np.expm1(table[:, _REQUEST].astype(np.float64))
        limit = target.limit(request)[:, None]
        return np.asarray((np.minimum(run, limit) / target.scale(request)[:, None]) ** target.power)
