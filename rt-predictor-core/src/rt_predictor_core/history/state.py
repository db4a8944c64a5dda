"""The state behind the history features: arrays that grow, and their snapshot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from rt_predictor_core.features import history as kernel
from rt_predictor_core.features import neighbours, queued, slots
from rt_predictor_core.features.history import Asked, Happened, Statistics
from rt_predictor_core.features.keys import KEYS
from rt_predictor_core.features.neighbours import KEPT, RUNNING_KEPT, Nearby
from rt_predictor_core.features.queued import SECONDS_KEPT
from rt_predictor_core.features.table import HistoryRows
from rt_predictor_core.history.log import EventLog
from rt_predictor_core.requests import Requests

SNAPSHOT: Final = (
    *("keys", "statistics"),
    *("people", "ended", "total", "running", "runs"),
    *("queues", "since", "waiting", "seconds"),
)
"""Names of the arrays of a snapshot."""

_FIRST_ROWS = 1024
_FIRST_PEOPLE = 64
_FIRST_QUEUES = 64
_EVENTS_AT_A_TIME = 1_000_000
_MOST_JOBS = 1 << 32
_KINDS: Final = {
    **dict.fromkeys(("keys", "people", "queues"), np.uint64),
    **dict.fromkeys(("total", "runs", "since", "waiting", "seconds"), np.int64),
}
"""Types of the arrays of a snapshot that are not float64."""


@dataclass(frozen=True)
class Ended:
    """The end of a job: when [s since 1970], after how long [s].

    ``start_seen`` is the start that ``State.observe_start`` was told of this job; None if it was not told.
    """

    end: int
    run: float
    failed: bool
    start_seen: int | None = None


def asked_of(requests: Requests) -> Asked:
    """Return what the kernel needs of requests."""
    asked: Asked = kernel.asked_of(requests.texts, requests.numbers, requests.submit_time)
    return asked


class State:
    """Statistics per history key, the newest jobs of each user, and what waits; see ``features.history``.

    Not thread-safe: ``history.store`` guards it.
    """

    def __init__(self, rows: int = _FIRST_ROWS, people: int = _FIRST_PEOPLE) -> None:
        self._statistics = _statistics(max(rows, _FIRST_ROWS), np.zeros(0, np.uint64))
        self._nearby = _nearby(max(people, _FIRST_PEOPLE), np.zeros(0, np.uint64))
        self.forget_queue()

    def __len__(self) -> int:
        return int(self._statistics.used[0])

    def forget_queue(self) -> None:
        """Let it be unknown what waits, until a submit is observed."""
        self._queue = queued.empty(_FIRST_QUEUES, np.zeros(0, np.uint64))

    def observe_submit(self, asked: Asked, i: int) -> None:
        """Take in that job ``i`` of those asked was submitted and waits; a read as of that second does not see it."""
        self._make_room()
        kernel.observe_submit(asked, i, self._queue)

    def observe_leave(self, asked: Asked, i: int) -> None:
        """Take in that job ``i`` of those asked, whose submit was observed as it is here, waits no more."""
        self._make_room()
        kernel.observe_leave(asked, i, self._queue)

    def observe_start(self, asked: Asked, i: int, start: int) -> None:
        """Take in that job ``i`` of those asked started at ``start`` [s since 1970]."""
        self._make_room()
        kernel.observe_start(asked, i, start, self._nearby)

    def forget_start(self, asked: Asked, i: int, start: int) -> None:
        """Take in that job ``i`` of those asked, whose ``start`` was observed, is over and was no run."""
        self._make_room()
        kernel.forget_start(asked, i, start, self._nearby)

    def observe_end(self, asked: Asked, i: int, ended: Ended) -> None:
        """Take in that job ``i`` of those asked ended."""
        self._make_room()
        seen = ended.start_seen is not None
        start = 0 if ended.start_seen is None else ended.start_seen
        failed = float(ended.failed)
        kernel.observe_end(asked, i, start, ended.end, ended.run, failed, seen, self._statistics, self._nearby)

    def read(self, requests: Requests) -> HistoryRows:
        """Return what is known of each request as of its submit time."""
        rows = HistoryRows.unread(len(requests))
        asked = (requests.texts, requests.numbers, requests.submit_time)
        state = (tuple(self._statistics), tuple(self._nearby), tuple(self._queue))
        kernel.read_many(*asked, *state, rows.features, rows.tier, rows.jobs)
        return rows

    def replay(
        self,
        log: EventLog,
        requests: Requests,
        wanted: np.ndarray | None = None,
        on_progress: Callable[[int, int], None] = lambda *_: None,
    ) -> HistoryRows:
        """Run a whole log through the state in the order of its events and return what each submit saw.

        Of a log that is larger than memory likes, say which rows are ``wanted``, int64[k]: only theirs are returned.
        ``on_progress`` is called with the events taken and the events there are.
        """
        kinds, order = log.events()
        wanted = np.arange(len(log)) if wanted is None else wanted
        place = np.full(len(log), -1)
        place[wanted] = np.arange(len(wanted))
        rows = HistoryRows.empty(len(wanted))
        asked, happened = asked_of(requests), Happened(log.start, log.end, log.run, log.failed, log.queued)
        position = 0
        while True:
            until = min(position + _EVENTS_AT_A_TIME, len(order))
            position = kernel.sweep(
                position,
                kinds,
                order[:until],
                asked,
                happened,
                self._statistics,
                self._nearby,
                self._queue,
                rows.features,
                rows.tier,
                rows.jobs,
                place,
            )
            on_progress(position, len(order))
            if position == len(order):
                return rows
            if position < until:
                self._make_room()

    def snapshot(self) -> dict[str, np.ndarray]:
        """Return the state as arrays by the names of ``SNAPSHOT``.

        ``keys`` uint64[k] and ``statistics`` float64[k, len(STATISTICS)]; ``people`` uint64[p] and of each the arrays
        of ``features.neighbours.Nearby``; ``queues`` uint64[q] and of each the arrays of ``features.queued.Queue``.
        """
        known, people = len(self), int(self._nearby.used[0])
        statistics, nearby = self._statistics, self._nearby
        queues, waiting, seconds = queued.in_use(self._queue)
        return {
            "keys": slots.keys_by_row(statistics.table, statistics.slots, known),
            "statistics": statistics.rows[:known].copy(),
            "people": slots.keys_by_row(nearby.table, nearby.slots, people),
            "ended": nearby.ended[:people].copy(),
            "total": nearby.total[:people].copy(),
            "running": nearby.running[:people].copy(),
            "runs": nearby.runs[:people].copy(),
            "queues": queues,
            "since": self._queue.since.copy(),
            "waiting": waiting,
            "seconds": seconds,
        }

    @classmethod
    def restore(cls, **arrays: np.ndarray) -> State:
        """Return the state that a snapshot describes. Raises ValueError if the arrays do not fit each other."""
        keys, people, queues = arrays["keys"], arrays["people"], arrays["queues"]
        shapes = {
            "keys": (len(keys),),
            "people": (len(people),),
            "statistics": (len(keys), len(kernel.STATISTICS)),
            "ended": (len(people), KEPT, neighbours.NAME + 1),
            "total": (len(people),),
            "running": (len(people), RUNNING_KEPT, neighbours.RUNNING_PROCESSORS + 1),
            "runs": (len(people),),
            "queues": (len(queues),),
            "since": (1,),
            "waiting": (len(queues), queued.THROUGH + 1),
            "seconds": (len(queues), SECONDS_KEPT, queued.SECOND_CORE_SECONDS + 1),
        }
        for name, shape in shapes.items():
            if arrays[name].shape != shape:
                raise ValueError(f"history snapshot: {name} {arrays[name].shape} does not fit {shape}")
        for name, array in arrays.items():
            if array.dtype != _KINDS.get(name, np.float64):
                raise ValueError(f"history snapshot: {name} {array.dtype} does not fit")
        if any(len(np.unique(arrays[name])) != len(arrays[name]) for name in ("keys", "people", "queues")):
            raise ValueError("history snapshot: a key occurs twice, which does not fit")
        _check_numbers(arrays)
        state = cls()
        state._statistics = _statistics(2 * max(len(keys), _FIRST_ROWS), keys, arrays["statistics"])
        of_people = (arrays[name] for name in ("ended", "total", "running", "runs"))
        state._nearby = _nearby(2 * max(len(people), _FIRST_PEOPLE), people, *of_people)
        of_queues = (arrays[name] for name in ("since", "waiting", "seconds"))
        state._queue = queued.empty(2 * max(len(queues), _FIRST_QUEUES), queues, *of_queues)
        return state

    def _make_room(self) -> None:
        statistics, nearby = self._statistics, self._nearby
        if len(self) + len(KEYS) > min(len(statistics.rows), len(statistics.table) // 2):
            keys = slots.keys_by_row(statistics.table, statistics.slots, len(self))
            self._statistics = _statistics(2 * len(statistics.rows), keys, statistics.rows)
        people = int(nearby.used[0])
        if people + 1 > min(len(nearby.total), len(nearby.table) // 2):
            keys = slots.keys_by_row(nearby.table, nearby.slots, people)
            self._nearby = _nearby(2 * len(nearby.total), keys, *nearby[3:])
        queue = self._queue
        if int(queue.used[0]) + len(queued.WHOSE) > min(len(queue.waiting), len(queue.table) // 2):
            keys, *counted = queued.in_use(queue)
            self._queue = queued.empty(2 * max(len(keys), _FIRST_QUEUES), keys, queue.since, *counted)


def _check_numbers(arrays: Mapping[str, np.ndarray]) -> None:
    """Do nothing where the numbers are such as jobs leave: compiled code divides by some, and others lead it."""
    statistics = arrays["statistics"]
    ended = statistics[:, kernel.ENDED] > 0.0
    counts = (arrays["total"], arrays["runs"], arrays["waiting"][:, queued.JOBS], statistics[:, kernel.ENDED])
    good = all(((count >= 0) & (count < _MOST_JOBS)).all() for count in counts)
    good = good and bool((arrays["runs"] <= RUNNING_KEPT).all() and np.isfinite(statistics).all())
    good = good and bool((statistics[ended, kernel.WEIGHT] > 0.0).all())
    if not good:
        raise ValueError("history snapshot: a number of jobs does not fit")


def _statistics(rows: int, keys: np.ndarray, old: np.ndarray | None = None) -> Statistics:
    """Return statistics with room for ``rows`` keys that know ``keys`` and the rows of ``old``."""
    table, places = slots.empty(4 * rows, keys)
    new = np.zeros((rows, len(kernel.STATISTICS)))
    if old is not None:
        new[: len(keys)] = old[: len(keys)]
    return Statistics(table, places, np.array([len(keys)], np.int64), new)


def _nearby(people: int, keys: np.ndarray, *old: np.ndarray) -> Nearby:
    """Return neighbours with room for ``people`` that know ``keys`` and the rows of the ``old`` arrays."""
    table, places = slots.empty(4 * people, keys)
    arrays = (
        np.zeros((people, KEPT, neighbours.NAME + 1)),
        np.zeros(people, np.int64),
        np.zeros((people, RUNNING_KEPT, neighbours.RUNNING_PROCESSORS + 1)),
        np.zeros(people, np.int64),
    )
    for new, former in zip(arrays, old, strict=False):
        new[: len(keys)] = former[: len(keys)]
    return Nearby(table, places, np.array([len(keys)], np.int64), *arrays)
