"""The reference: what the jobs were like that a model was trained on, to compare others with.

One typical job, which an explanation starts from, and of every feature the shares of its values between quantiles,
which the values of a served window are compared with.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Final

import numpy as np

from rt_predictor_core.features import history
from rt_predictor_core.features.keys import KEYS, TIER_KEYS
from rt_predictor_core.features.table import NAMES, HistoryRows
from rt_predictor_core.models.arrays import Flat, held, within
from rt_predictor_core.requests import NUMBERS, TEXTS, Requests
from rt_predictor_core.schema import BY_NAME, LATEST_TIME

BINS: Final = 10
"""Bins of each feature, as even as its values allow; one more is for missing values."""

_HOUR, _DAY = 3600, 86_400
_EPOCH_WEEKDAY = 3  # see ``features.request``
_FIRST_HISTORY = len(NAMES) - len(history.FEATURES)
_TIER_ENDED = [history.FEATURES.index(f"{KEYS[key]}_log_ended") for key in TIER_KEYS]


@dataclass(frozen=True)
class Reference(Flat):
    """What ``Reference.of`` the training jobs says.

    Attributes
    ----------
    numbers: float64[len(NUMBERS)], of the typical job; NaN where most jobs do not tell it.
    submit_time: int64[1], of the typical job: the commonest hour and the commonest day of the week.
    history: float32[len(history.FEATURES)], the median of each feature; NaN where most jobs have none.
    edges: float32[features, BINS - 1], never falling: a value is in the bin of the first edge that it does not exceed.
    shares: float64[features, BINS + 1], of the bins and, last, of missing values.
    """

    numbers: np.ndarray = held(np.float64, "numbers")
    submit_time: np.ndarray = held(np.int64, "one")
    history: np.ndarray = held(np.float32, "history")
    edges: np.ndarray = held(np.float32, "features", "edges")
    shares: np.ndarray = held(np.float64, "features", "bins")

    @classmethod
    def of(cls, requests: Requests, table: np.ndarray) -> Reference:
        """Return the reference of ``n`` > 0 jobs; ``table`` float32[n, features] is theirs."""
        edges = np.stack([_edges(column) for column in table.T])
        return cls(
            numbers=np.array([_middle(column) for column in requests.numbers.T]),
            submit_time=np.array([_usual_time(requests.submit_time)], np.int64),
            history=np.array([_middle(column) for column in table[:, _FIRST_HISTORY:].T], np.float32),
            edges=edges,
            shares=counts(table, edges) / len(table),
        )

    def check(self) -> None:
        """Raise ValueError where the reference is none that ``of`` returns."""
        lengths = (len(self.numbers), len(self.submit_time), len(self.history), *self.edges.shape, self.shares.shape[1])
        wanted = (len(NUMBERS), 1, len(history.FEATURES), len(NAMES), BINS - 1, BINS + 1)
        if lengths != wanted:
            raise ValueError(f"reference: {lengths} does not fit {wanted}")
        within("submit_time", self.submit_time, 0, LATEST_TIME - 1)
        within("shares", self.shares, 0.0, 1.0)
        for number, column in zip(self.numbers, (BY_NAME[name] for name in NUMBERS), strict=True):
            if not (np.isnan(number) or (column.low or 0.0) <= number <= (column.high or inf)):
                raise ValueError(f"numbers: {column.name} {number} does not fit")
        if np.isinf(self.history).any() or np.isnan(self.edges).any() or (self.edges[:, 1:] < self.edges[:, :-1]).any():
            raise ValueError("reference: a feature of the typical job is infinite, or edges fall")

    def requests(self, rows: int) -> Requests:
        """Return the typical job ``rows`` times."""
        texts = np.zeros((rows, len(TEXTS) + 1), np.uint64)
        return Requests(texts, np.tile(self.numbers, (rows, 1)), np.tile(self.submit_time, rows))


def as_history(features: np.ndarray) -> HistoryRows:
    """Return history features float32[n, len(history.FEATURES)] as rows, with the tier and the jobs that they imply."""
    ended = np.nan_to_num(features[:, _TIER_ENDED])
    tier = np.where(ended > 0.0, np.arange(1, len(_TIER_ENDED) + 1), 0).max(axis=1)
    known = np.take_along_axis(ended, np.maximum(tier - 1, 0)[:, None], axis=1)[:, 0]
    jobs = np.where(tier > 0, np.rint(np.expm1(known.astype(np.float64))), 0.0)
    return HistoryRows(features, tier.astype(np.uint8), np.minimum(jobs, np.iinfo(np.uint32).max).astype(np.uint32))


def counts(table: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return how many rows of a table float32[n, features] are in each bin, int64[features, BINS + 1]."""
    out = np.empty((len(edges), BINS + 1), np.int64)
    for feature, column in enumerate(table.T):
        place = np.where(np.isnan(column), BINS, np.searchsorted(edges[feature], column))
        out[feature] = np.bincount(place, minlength=BINS + 1)
    return out


def _edges(column: np.ndarray) -> np.ndarray:
    known = column[~np.isnan(column)]
    if not len(known):
        return np.full(BINS - 1, inf, np.float32)
    edges = np.quantile(known, np.arange(1, BINS) / BINS, method="inverted_cdf").astype(np.float32)
    # a value that fills bins gets one of its own: what lies below it is told apart
    first = np.append(True, edges[1:] > edges[:-1])
    filled = first & np.append(edges[1:] == edges[:-1], False)
    edges[filled] = np.nextafter(edges[filled], np.float32(-inf))
    return np.asarray(edges)


def _middle(column: np.ndarray) -> float:
    """Return the median of the values; NaN where most are missing."""
    known = column[~np.isnan(column)]
    return float(np.median(known)) if 2 * len(known) > len(column) else float("nan")


def _usual_time(submit_time: np.ndarray) -> int:
    """Return a moment [s since 1970] in the middle of the commonest hour, on the commonest day of the week."""
    hour = np.bincount(submit_time % _DAY // _HOUR).argmax()
    day = np.bincount((submit_time // _DAY + _EPOCH_WEEKDAY) % 7).argmax()
    return int((day - _EPOCH_WEEKDAY) % 7 * _DAY + hour * _HOUR + _HOUR // 2)
