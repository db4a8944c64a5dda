"""The member that needs no training: what the user's resembling jobs did, as quantiles."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import expm1, inf, nan

import numpy as np
from numba import njit

from rt_predictor_core.features import neighbours
from rt_predictor_core.features.table import NAMES
from rt_predictor_core.models.arrays import Flat, held, within
from rt_predictor_core.models.target import Target, wallclock_or

WIDTHS = {"neighbours": "near", "neighbours_wide": "wide"}
"""The kernel, one of ``features.neighbours.WIDTHS``, of each member of this shape, by the name in reports."""

SHAPE = "neighbours"
"""Name of the shape in manifests."""

_REQUEST = NAMES.index("log_wallclock_req")


@njit(cache=True, nogil=True)
def shares(
    table: np.ndarray,
    columns: np.ndarray,
    right: np.ndarray,
    share: np.ndarray,
    target: np.ndarray,
    out: np.ndarray,
) -> None:
    """Write run times on lines between the known ones, held to the limit, in units of the target, into ``out``."""
    run = np.empty(len(columns))
    power, usual, grace = target
    for i in range(len(table)):
        for j in range(len(columns)):
            run[j] = expm1(np.float64(table[i, columns[j]]))
        request = expm1(np.float64(table[i, _REQUEST]))
        limit = wallclock_or(request, inf, grace)
        scale = wallclock_or(request, usual, 0.0)
        for q in range(len(right)):
            time = (1.0 - share[q]) * run[right[q] - 1] + share[q] * run[right[q]]
            # where nothing has ended, it stays unknown
            out[i, q] = nan if np.isnan(time) else (min(time, limit) / scale) ** power


@dataclass(frozen=True)
class Neighbours(Flat):
    """Quantiles of ``features.neighbours``, read out of the feature table and put into units of the target.

    Attributes
    ----------
    levels: float64[levels]. columns: int64[len(features.neighbours.LEVELS)], of one kernel's quantiles in the table.
    target: float64[3], power, usual_wallclock and grace of ``Target``.
    """

    levels: np.ndarray = held(np.float64, "levels")
    columns: np.ndarray = held(np.int64, "known levels")
    target: np.ndarray = held(np.float64, "parts")

    @classmethod
    def of(cls, levels: np.ndarray, target: Target, width: str) -> Neighbours:
        """Return the member for a kernel, one of ``features.neighbours.WIDTHS``."""
        columns = [NAMES.index(f"{width}_q{100 * level:02.0f}_log") for level in neighbours.LEVELS]
        return cls(levels, np.array(columns), np.array([target.power, target.usual_wallclock, target.grace]))

    def evaluate(self, table: np.ndarray) -> np.ndarray:
        """Return float64[n, levels] for a feature table float32[n, features]; NaN where nothing has ended."""
        out = np.empty((len(table), len(self.levels)))
        right, share = self.between
        shares(table, self.columns, right, share, self.target, out)
        return out

    def check(self) -> None:
        """Raise ValueError where a column leads nowhere, or a number is none that training gives."""
        within("levels", self.levels, 0.0, 1.0)
        within("columns", self.columns, 0, len(NAMES) - 1)
        if (len(self.columns), len(self.target)) != (len(neighbours.LEVELS), 3):
            raise ValueError(f"columns: {len(self.columns)}, target: {len(self.target)} do not fit")
        Target(*self.target.tolist()).check()

    @cached_property
    def between(self) -> tuple[np.ndarray, np.ndarray]:
        """The known level above each wanted one, and how far the way to it: straight lines, flat beyond the ends."""
        known, wanted = np.array(neighbours.LEVELS), self.levels
        right = np.clip(np.searchsorted(known, wanted), 1, len(known) - 1)
        return right, np.clip((wanted - known[right - 1]) / (known[right] - known[right - 1]), 0.0, 1.0)
