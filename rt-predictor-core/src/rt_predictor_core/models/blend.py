"""The blend: weighted quantiles of the members as one monotone set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def blend(members: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
    """Return the weighted mean of the members' quantiles, float64[n, levels].

    Averaging quantiles level by level (Vincentization) keeps the shape that the members agree on; see Lichtendahl,
    Grushka-Cockayne, Winkler, "Is It Better to Average Probabilities or Quantiles?", Management Science 59(7), 2013.
    """
    total = np.zeros_like(members[0])
    for member, weight in zip(members, weights, strict=True):
        total += weight * member
    return total


def monotone(quantiles: np.ndarray) -> np.ndarray:
    """Return the quantiles sorted along the levels, so that none crosses another.

    Rearrangement never makes a set of quantiles worse: Chernozhukov, Fernandez-Val, Galichon, "Quantile and
    Probability Curves Without Crossing", Econometrica 78(3), 2010.
    """
    return np.sort(quantiles, axis=1)
