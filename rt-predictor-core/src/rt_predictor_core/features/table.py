"""The feature table: names in order, and a fingerprint that artifact and service must share."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import numpy as np
from numba import njit

from rt_predictor_core.features import history, keys, neighbours, queued, request
from rt_predictor_core.requests import Requests

NAMES: Final = (*request.FEATURES, *history.FEATURES)
"""Names of the feature columns."""

_FIRST_KNOWN = len(request.FEATURES)

FIRST_QUEUED: Final = len(NAMES) - len(queued.FEATURES)
"""From this column on, the features are those of ``queued``: a model may do without them."""

DEFINITION: Final = 2
"""Raised by hand whenever the meaning of a feature changes without its name."""

_CONSTANTS = (
    history.DECAY,
    neighbours.KEPT,
    neighbours.RUNNING_KEPT,
    *neighbours.BANDWIDTHS,
    *neighbours.FADING,
    neighbours.NAME_WEIGHT,
    neighbours.UNKNOWN_GAP,
    queued.SECONDS_KEPT,
    queued.MOST_CORE_SECONDS,
)
FINGERPRINT: Final = sha256("\n".join(map(str, (DEFINITION, *_CONSTANTS, *keys.KEYS, *NAMES))).encode()).hexdigest()
"""Identifies the features; a model is only used with the features that it was trained on."""


@dataclass(frozen=True)
class HistoryRows:
    """What the history says of ``n`` jobs as of their submit times.

    Attributes
    ----------
    features: float32[n, len(history.FEATURES)]; NaN where nothing is known.
    tier: uint8[n], index into ``keys.TIERS``.
    jobs: uint32[n], ended jobs known at that tier.
    """

    features: np.ndarray
    tier: np.ndarray
    jobs: np.ndarray

    @classmethod
    def empty(cls, rows: int) -> HistoryRows:
        """Return rows that know nothing."""
        known = cls.unread(rows)
        known.features.fill(np.nan)
        known.tier.fill(0)
        known.jobs.fill(0)
        return known

    @classmethod
    def unread(cls, rows: int) -> HistoryRows:
        """Return room for rows that are still to be read; what is in it is anything."""
        return cls(
            np.empty((rows, len(history.FEATURES)), np.float32), np.empty(rows, np.uint8), np.empty(rows, np.uint32)
        )

    def take(self, rows: np.ndarray | slice) -> HistoryRows:
        """Return the rows that an index array, a mask or a slice selects."""
        return HistoryRows(self.features[rows], self.tier[rows], self.jobs[rows])


def used_columns(*, queued: bool) -> int:
    """Return how many of the feature columns, from the first, a model uses with or without what waits."""
    return len(NAMES) if queued else FIRST_QUEUED


def assemble(requests: Requests, rows: HistoryRows) -> np.ndarray:
    """Return the feature table, float32[n, len(NAMES)]."""
    table = np.empty((len(requests), len(NAMES)), np.float32)
    _assemble(requests.numbers, requests.submit_time, rows.features, table)
    return table


@njit(cache=True, nogil=True)
def _assemble(numbers: np.ndarray, submit_time: np.ndarray, known: np.ndarray, out: np.ndarray) -> None:
    request.fill(numbers, submit_time, out)
    out[:, _FIRST_KNOWN:] = known
