"""The blend: the middle of what the members say, as one monotone set of quantiles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit


def blend(members: Sequence[np.ndarray] | np.ndarray, heard: np.ndarray) -> np.ndarray:
    """Return at each level the median of the members that are heard there, float64[n, levels].

    ``members`` are quantiles float64[n, levels], NaN where a member knows nothing of a job; ``heard`` bool[members,
    levels]. Where no member that is heard knows anything, all are; NaN where none does. The median of quantiles, level
    by level, is not led astray by one member that is far off, as a mean is: Jose, Grushka-Cockayne, Lichtendahl,
    "Trimmed Opinion Pools and the Crowd's Calibration Problem", Management Science 60(2), 2014.
    """
    return np.asarray(middle(np.asarray(members), np.ascontiguousarray(heard)))


@njit(cache=True, nogil=True)
def middle(said: np.ndarray, heard: np.ndarray) -> np.ndarray:
    """Return ``blend`` of float64[members, n, levels], which compiled code may call."""
    members, jobs, levels = said.shape
    out = np.full((jobs, levels), np.nan)
    values = np.empty(members)
    for i in range(jobs):
        for q in range(levels):
            known = 0
            for everyone in (False, True):
                for m in range(members):
                    value = said[m, i, q]
                    if (heard[m, q] or everyone) and not np.isnan(value):
                        # into its place among so few
                        place = known
                        while place > 0 and values[place - 1] > value:
                            values[place] = values[place - 1]
                            place -= 1
                        values[place] = value
                        known += 1
                if known > 0:
                    break
            if known > 0:
                out[i, q] = 0.5 * (values[(known - 1) // 2] + values[known // 2])
    return out


def monotone(quantiles: np.ndarray) -> np.ndarray:
    """Return the quantiles sorted along the levels, so that none crosses another.

    Rearrangement never makes a set of quantiles worse: Chernozhukov, Fernandez-Val, Galichon, "Quantile and
    Probability Curves Without Crossing", Econometrica 78(3), 2010.
    """
    sorted_ = np.array(quantiles, np.float64, order="C")
    rearrange(sorted_)
    return sorted_


@njit(cache=True, nogil=True)
def rearrange(quantiles: np.ndarray) -> None:
    """Sort quantiles float64[n, levels] along the levels, in place; NaN come last."""
    for i in range(len(quantiles)):
        # they are few and nearly in order
        for q in range(1, quantiles.shape[1]):
            value, place = quantiles[i, q], q
            while place > 0 and not (np.isnan(value) or quantiles[i, place - 1] <= value):
                quantiles[i, place] = quantiles[i, place - 1]
                place -= 1
            quantiles[i, place] = value
