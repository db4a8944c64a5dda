"""The history store: takes events, answers as of a submit time, forgets nothing and counts nothing twice."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

import numpy as np

from rt_predictor_core.features.history import Asked
from rt_predictor_core.features.table import HistoryRows
from rt_predictor_core.history.events import Event, Kind
from rt_predictor_core.history.log import GOOD_STATE
from rt_predictor_core.history.state import Ended, State, asked_of
from rt_predictor_core.requests import Requests, identity

Identity = tuple[str, int]
"""A job's cluster, and its identity within that."""


class MemoryStore:
    """A history in memory, restored from an artifact's snapshot. Thread-safe.

    What happened to a job counts once, and nothing that comes before something that was told already: a submission
    that is told after the start puts nothing into the queue.

    ``known``, sorted uint64[k], are identities of jobs whose end the snapshot holds already; jobs that ended
    before ``known_from`` [s since 1970] are taken to be in it too.
    """

    def __init__(self, state: State, known: np.ndarray, known_from: int) -> None:
        self._state = state
        self._known = known
        self._known_from = known_from
        self._waiting: dict[Identity, Asked] = {}
        self._started: dict[Identity, int] = {}
        self._over: set[Identity] = set()
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
            return [self._knows(event, _job(event)) for event in events]

    def read(self, requests: Requests) -> HistoryRows:
        """Return what is known of each request as of its submit time."""
        with self._lock:
            return self._state.read(requests)

    def _observe(self, event: Event, asked: Asked, i: int) -> bool:
        job = _job(event)
        if event.kind is not Kind.SUBMITTED:
            self._leave(job)
        if self._knows(event, job):
            return False
        if event.start_time is not None and event.end_time is None:
            self._started[job] = event.start_time
            self._state.observe_start(asked, i, event.start_time)
        elif event.kind is Kind.SUBMITTED:
            self._submit(job, asked, i)
        elif event.kind is Kind.WITHDRAWN:
            self._over.add(job)
        else:
            self._end(job, event, asked, i)
        return True

    def _knows(self, event: Event, job: Identity) -> bool:
        """Return whether an event, or one that comes after it, was told already."""
        if job in self._over or self._in_snapshot(job[1]):
            return True
        if event.kind is Kind.ENDED:
            return (event.end_time or 0) < self._known_from
        return job in self._started or (event.kind is Kind.SUBMITTED and job in self._waiting)

    def _submit(self, job: Identity, asked: Asked, i: int) -> None:
        # as it was submitted: its request may have been changed by the time it starts
        self._waiting[job] = Asked(*(column[i : i + 1].copy() for column in asked))
        self._state.observe_submit(asked, i)

    def _leave(self, job: Identity) -> None:
        if (asked := self._waiting.pop(job, None)) is not None:
            self._state.observe_leave(asked, 0)

    def _end(self, job: Identity, event: Event, asked: Asked, i: int) -> None:
        self._over.add(job)
        start = self._started.pop(job, None)
        if event.end_time is not None and event.run_time is not None:
            failed = event.state not in {None, GOOD_STATE}
            ended = Ended(end=event.end_time, run=float(event.run_time), failed=failed, start_seen=start)
            self._state.observe_end(asked, i, ended)
        elif start is not None:  # no run, and training leaves it out as well
            self._state.forget_start(asked, i, start)

    def _in_snapshot(self, job: int) -> bool:
        place = np.searchsorted(self._known, np.uint64(job))
        return bool(place < len(self._known) and self._known[place] == job)


def _job(event: Event) -> Identity:
    """Return what makes a job the same."""
    return event.cluster, identity(event.job_id, event.submit_time)
