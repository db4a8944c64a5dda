"""The state behind the history features: arrays that grow, and their snapshot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rt_predictor_core.features import history as kernel
from rt_predictor_core.features.keys import KEYS, keys_of
from rt_predictor_core.features.table import HistoryRows
from rt_predictor_core.history.log import EventLog
from rt_predictor_core.requests import Requests

_FIRST_ROWS = 1024


@dataclass(frozen=True)
class Ended:
    """The end of a job: when [s since 1970], after how long [s], of how much requested [s, NaN if unknown].

    ``start_seen`` is the start that ``State.observe_start`` was told of this job; None if it was not told.
    """

    end: int
    run: float
    request: float
    failed: bool
    start_seen: int | None = None


class State:
    """One row of statistics per history key, found through a hash table; see ``features.history``.

    Not thread-safe: ``history.store`` guards it.
    """

    def __init__(self, rows: int = _FIRST_ROWS) -> None:
        self._used = np.zeros(1, np.int64)
        self._stats = np.zeros((max(rows, _FIRST_ROWS), len(kernel.STATISTICS)))
        self._index(np.zeros(0, np.uint64))

    def __len__(self) -> int:
        return int(self._used[0])

    def observe_start(self, keys: np.ndarray, start: int) -> None:
        """Take in that a job with ``keys``, uint64[len(KEYS)], started at ``start`` [s since 1970]."""
        self._make_room()
        kernel.observe_start(keys, start, *self._arrays())

    def observe_end(self, keys: np.ndarray, ended: Ended) -> None:
        """Take in that a job with ``keys`` ended."""
        self._make_room()
        kernel.observe_end(
            keys,
            0 if ended.start_seen is None else ended.start_seen,
            ended.end,
            ended.run,
            ended.request,
            float(ended.failed),
            ended.start_seen is not None,
            *self._arrays(),
        )

    def read(self, requests: Requests) -> HistoryRows:
        """Return what is known of each request as of its submit time."""
        rows = HistoryRows.empty(len(requests))
        kernel.read_many(
            keys_of(requests), requests.submit_time, *self._arrays()[:3], rows.features, rows.tier, rows.jobs
        )
        return rows

    def replay(self, log: EventLog, keys: np.ndarray) -> HistoryRows:
        """Run a whole log through the state in the order of its events and return what each submit saw."""
        kinds, order = log.events()
        rows = HistoryRows.empty(len(keys))
        position = 0
        while True:
            position = kernel.sweep(
                position,
                kinds,
                order,
                keys,
                log.submit,
                log.start,
                log.end,
                log.run,
                log.request,
                log.failed,
                *self._arrays(),
                rows.features,
                rows.tier,
                rows.jobs,
            )
            if position == len(order):
                return rows
            self._grow()

    def snapshot(self) -> dict[str, np.ndarray]:
        """Return the state as arrays: ``keys`` uint64[k] and ``statistics`` float64[k, len(STATISTICS)]."""
        taken = self._slots >= 0
        keys = np.zeros(len(self), np.uint64)
        keys[self._slots[taken]] = self._table[taken]
        return {"keys": keys, "statistics": self._stats[: len(self)].copy()}

    @classmethod
    def restore(cls, keys: np.ndarray, statistics: np.ndarray) -> State:
        """Return the state that a snapshot describes. Raises ValueError if the arrays do not fit each other."""
        if statistics.shape != (len(keys), len(kernel.STATISTICS)) or len(np.unique(keys)) != len(keys):
            raise ValueError(f"history snapshot of {len(keys)} keys does not fit statistics {statistics.shape}")
        state = cls(2 * len(keys))
        state._stats[: len(keys)] = statistics
        state._used[0] = len(keys)
        state._index(keys)
        return state

    def _arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        return self._table, self._slots, self._stats, self._used

    def _make_room(self) -> None:
        if len(self) + len(KEYS) > min(len(self._stats), len(self._table) // 2):
            self._grow()

    def _grow(self) -> None:
        keys = self.snapshot()["keys"]
        larger = np.zeros((2 * len(self._stats), self._stats.shape[1]))
        larger[: len(self)] = self._stats[: len(self)]
        self._stats = larger
        self._index(keys)

    def _index(self, keys: np.ndarray) -> None:
        places = 1 << (4 * len(self._stats) - 1).bit_length()
        self._table = np.zeros(places, np.uint64)
        self._slots = np.full(places, -1, np.int64)
        kernel.index(keys, self._table, self._slots)
