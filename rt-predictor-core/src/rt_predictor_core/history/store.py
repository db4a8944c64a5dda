"""The history store: takes events, answers as of a submit time, forgets nothing and counts nothing twice."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

import numpy as np

from rt_predictor_core.features.history import Asked
from rt_predictor_core.features.table import HistoryRows
from rt_predictor_core.history.journal import Event
from rt_predictor_core.history.log import GOOD_STATE
from rt_predictor_core.history.state import Ended, State, asked_of
from rt_predictor_core.requests import Requests, identity


class MemoryStore:
    """A history in memory, restored from an artifact's snapshot. Thread-safe.

    ``known``, sorted uint64[k], are identities of jobs whose end the snapshot holds already; jobs that ended
    before ``known_from`` [s since 1970] are taken to be in it too.
    """

    def __init__(self, state: State, known: np.ndarray, known_from: int) -> None:
        self._state = state
        self._known = known
        self._known_from = known_from
        self._started: dict[tuple[str, int], int] = {}
        self._ended: set[tuple[str, int]] = set()
        self._lock = Lock()

    def observe(self, events: Sequence[Event]) -> list[bool]:
        """Take in events in the order given; False for one that was known already."""
        if not events:
            return []
        asked = asked_of(Requests.from_rows([{**event.job, "submit_time": event.submit_time} for event in events]))
        with self._lock:
            return [self._observe(event, asked, i) for i, event in enumerate(events)]

    def known(self, events: Sequence[Event]) -> list[bool]:
        """Return for which events ``observe`` would return False, each by itself."""
        with self._lock:
            return [self._known_already(event, _job(event)) for event in events]

    def read(self, requests: Requests) -> HistoryRows:
        """Return what is known of each request as of its submit time."""
        with self._lock:
            return self._state.read(requests)

    def _observe(self, event: Event, asked: Asked, i: int) -> bool:
        job = _job(event)
        if self._known_already(event, job):
            return False
        if event.end_time is None:
            self._started[job] = event.start_time
            self._state.observe_start(asked, i, event.start_time)
            return True
        self._state.observe_end(
            asked,
            i,
            Ended(
                end=event.end_time,
                run=float(event.end_time - event.start_time),
                failed=event.state not in {None, GOOD_STATE},
                start_seen=self._started.pop(job, None),
            ),
        )
        self._ended.add(job)
        return True

    def _known_already(self, event: Event, job: tuple[str, int]) -> bool:
        if job in self._ended or self._in_snapshot(job[1], event.end_time):
            return True
        return event.end_time is None and job in self._started

    def _in_snapshot(self, job: int, end: int | None) -> bool:
        place = np.searchsorted(self._known, np.uint64(job))
        if place < len(self._known) and self._known[place] == job:
            return True
        return end is not None and end < self._known_from


def _job(event: Event) -> tuple[str, int]:
    """Return what makes a job the same: its cluster and its identity there."""
    return event.cluster, identity(event.job_id, event.submit_time)
