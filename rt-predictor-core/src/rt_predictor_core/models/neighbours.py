"""The member that needs no training: what the user's resembling jobs did, as quantiles."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numba import njit

from rt_predictor_core.features import neighbours
from rt_predictor_core.features.table import NAMES
from rt_predictor_core.models.arrays import Flat, held, within
from rt_predictor_core.models.target import Target

WIDTHS = {"neighbours": "near", "neighbours_wide": "wide"}
"""The kernel, one of ``features.neighbours.WIDTHS``, of each member of this shape, by the name in reports."""

SHAPE = "neighbours"
"""Name of the shape in manifests."""

_REQUEST = NAMES.index("log_wallclock_req")


@njit(cache=True, nogil=True)
def _logs(table: np.ndarray, columns: np.ndarray) -> np.ndarray:
    out = np.empty((len(table), len(columns) + 1))
    for i in range(len(table)):
        for j in range(len(columns)):
            out[i, j] = table[i, columns[j]]
        out[i, -1] = table[i, _REQUEST]
    return out


@njit(cache=True, nogil=True)
def _shares(known: np.ndarray, right: np.ndarray, share: np.ndarray, usual: float, grace: float) -> np.ndarray:
    """Return run times on lines between the known ones, held to the limit, by the request in the last column."""
    out = np.empty((len(known), len(right)))
    for i in range(len(known)):
        request, limit = known[i, -1], known[i, -1] + grace
        if np.isnan(request):
            request, limit = usual, np.inf
        for q in range(len(right)):
            run = (1.0 - share[q]) * known[i, right[q] - 1] + share[q] * known[i, right[q]]
            out[i, q] = np.minimum(run, limit) / request  # where nothing has ended, it stays unknown
    return out


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
        power, usual, grace = self.target.tolist()
        known = _logs(table, self.columns)
        return np.asarray(_shares(np.expm1(known, out=known), *self._between, usual, grace) ** power)

    def check(self) -> None:
        """Raise ValueError where a column leads nowhere, or a number is none that training gives."""
        within("levels", self.levels, 0.0, 1.0)
        within("columns", self.columns, 0, len(NAMES) - 1)
        if (len(self.columns), len(self.target)) != (len(neighbours.LEVELS), 3):
            raise ValueError(f"columns: {len(self.columns)}, target: {len(self.target)} do not fit")
        Target(*self.target.tolist()).check()

    @cached_property
    def _between(self) -> tuple[np.ndarray, np.ndarray]:
        """The known level above each wanted one, and how far the way to it: straight lines, flat beyond the ends."""
        known, wanted = np.array(neighbours.LEVELS), self.levels
        right = np.clip(np.searchsorted(known, wanted), 1, len(known) - 1)
        return right, np.clip((wanted - known[right - 1]) / (known[right] - known[right - 1]), 0.0, 1.0)
