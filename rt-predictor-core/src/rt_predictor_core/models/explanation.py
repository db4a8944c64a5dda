"""Explanation: what each group of features moves the median by, from a typical job to this one.

Baseline Shapley values (Sundararajan, Najmi, "The many Shapley values for model explanation", ICML 2020,
arXiv:1908.08474): a group's contribution is its mean effect over all orders in which the groups of the typical job can
be exchanged for those of this one. With few groups all combinations are forecast, so the values are exact; they are
forecast by the forecaster itself, so that blend, limit and target are in them, and sum to what the two medians differ
by.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial
from typing import Final

import numpy as np

from rt_predictor_core.features.groups import GROUPS, OF_FEATURES, OF_NUMBERS, TIME
from rt_predictor_core.models.forecast import Forecaster, Inputs
from rt_predictor_core.models.reference import Reference, as_history
from rt_predictor_core.requests import Requests

COMBINATIONS: Final = 1 << len(GROUPS)
"""Forecasts that one explanation takes."""

_HAS = (np.arange(COMBINATIONS)[:, None] >> np.arange(len(GROUPS))) & 1 == 1


@dataclass(frozen=True)
class Explanation:
    """Why a median is what it is.

    Attributes
    ----------
    baseline: median of the typical job [s]. contributions: by group of ``GROUPS``, signed [s]; baseline and all of
    them sum to the median.
    """

    baseline: float
    contributions: dict[str, float]


def explain(forecaster: Forecaster, reference: Reference, inputs: Inputs) -> Explanation:
    """Explain the median of the only row of ``inputs``."""
    mixed, given = reference.requests(COMBINATIONS), inputs.requests
    requests = Requests(
        mixed.texts,
        np.where(_HAS[:, OF_NUMBERS], given.numbers, mixed.numbers),
        np.where(_HAS[:, TIME], given.submit_time, mixed.submit_time),
    )
    known = inputs.history.features
    features = np.where(_HAS[:, OF_FEATURES[-known.shape[1] :]], known, reference.history)
    medians = forecaster.forecast(requests, as_history(np.ascontiguousarray(features))).median
    return Explanation(float(medians[0]), dict(zip(GROUPS, shapley(medians).tolist(), strict=True)))


def shapley(values: np.ndarray) -> np.ndarray:
    """Return the Shapley values, float64[g], of a game whose coalitions' values are float64[2**g].

    Player ``i`` is in coalition ``c`` where bit ``i`` of ``c`` is set.
    """
    coalitions = np.arange(len(values))
    players = len(values).bit_length() - 1
    sizes = np.array([int(c).bit_count() for c in coalitions])
    weights = np.array([factorial(s) * factorial(players - s - 1) for s in range(players)]) / factorial(players)
    shares = np.empty(players)
    for player in range(players):
        without = coalitions[coalitions >> player & 1 == 0]
        shares[player] = (weights[sizes[without]] * (values[without | 1 << player] - values[without])).sum()
    return shares
