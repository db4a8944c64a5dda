"""A model, and the history that began with its snapshot and follows the journal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import count, islice
from threading import Lock
from typing import Protocol

import numpy as np

from rt_predictor_api.live import Said
from rt_predictor_core.artifact.load import Artifact
from rt_predictor_core.history.events import Entry, Event, Lesson
from rt_predictor_core.history.state import State
from rt_predictor_core.history.store import MemoryStore
from rt_predictor_core.models.explanation import Explanation, explain
from rt_predictor_core.models.forecast import Forecasts, Inputs
from rt_predictor_core.requests import Requests

REPLAY_EVENTS = 2_000
"""Journal entries taken in at a time."""

_NUMBERS = count()

_EXAMPLE: dict[str, str | float | None] = {
    **dict.fromkeys(("user", "account", "partition", "qos", "name", "work_dir"), "warm"),
    **dict.fromkeys(("wallclock_req", "nodes_req", "processors_req", "gpus_req", "mem_req"), 60.0),
}


class Journaled(Protocol):
    """What the service needs of a journal: on this machine ``core``'s, or one that several machines share."""

    def append(self, events: Sequence[Event], lessons: Sequence[Lesson | None]) -> list[bool]:
        """Store what is new, for good, and tell what was. Raises Problem HISTORY_NOT_WRITABLE, HISTORY_CORRUPT."""
        ...

    def mark(self) -> int:
        """Return a number that is another one whenever there is something to replay; must cost next to nothing."""
        ...

    def newest(self) -> int:
        """Return the number of the newest entry; 0 where there is none."""
        ...

    def replay(self, after: int) -> Iterator[Entry]:
        """Yield what was stored later than entry ``after``, in order. Raises Problem HISTORY_CORRUPT."""
        ...

    def close(self) -> None:
        """Give up what it holds."""
        ...


class Replica:
    """A model with its history as far as it has followed a journal; safe for several threads.

    Everything that is learnt of reported jobs comes from the journal's entries, in their order. So all processes that
    share a journal say the same, and so does one that starts anew.
    """

    def __init__(self, artifact: Artifact, journal: Journaled) -> None:
        self.artifact = artifact
        self.entries = 0
        """How many entries of the journal it has taken in."""
        self._journal = journal
        self._store = artifact.history()
        self._which = next(_NUMBERS)
        self._number = 0
        self._mark: int | None = None
        self._lock = Lock()

    @property
    def version(self) -> str:
        """The model's version."""
        return self.artifact.manifest.version

    @property
    def epoch(self) -> tuple[int, int] | None:
        """What tells this replica, and what it has followed, from any other; None while the journal holds more.

        Raises
        ------
        Problem
            ``HISTORY_UNAVAILABLE`` while the journal does not tell.
        """
        mark = self._journal.mark()
        return (self._which, mark) if mark == self._mark else None

    def follow(self) -> bool:
        """Take in everything that the journal holds; False where there was nothing new.

        Raises
        ------
        Problem
            ``HISTORY_CORRUPT`` where the journal cannot be replayed; what was known stays known.
        """
        if self._journal.mark() == self._mark:
            return False
        with self._lock:
            # looked at first: what is appended during the replay may be in it or not
            mark = self._journal.mark()
            replay = self._journal.replay(self._number)
            while page := list(islice(replay, REPLAY_EVENTS)):
                self._take(page)
            self._mark = mark
        return True

    def inputs(self, requests: Requests) -> Inputs:
        """Return what forecasts of jobs as of their submit times follow from."""
        return self.artifact.forecaster.inputs(requests, self._store.read(requests))

    def told(self, inputs: Inputs) -> Forecasts:
        """Return the forecasts that follow from the inputs."""
        return self.artifact.forecaster.told(inputs)

    def explained(self, inputs: Inputs) -> tuple[Forecasts, Explanation | None]:
        """Return the forecast of a single row, and why it is what it is; None where the model cannot tell."""
        reference = self.artifact.reference
        explanation = explain(self.artifact.forecaster, reference, inputs) if reference is not None else None
        return self.told(inputs), explanation

    def said(self, events: Iterable[Event]) -> list[Said]:
        """Return what is to be said of events' jobs, as they were submitted."""
        return said(self.told(self.inputs(submitted(events))), self.version)

    def known(self, events: Sequence[Event]) -> list[bool]:
        """Return which events tell nothing new, whether reported before or part of the model's snapshot."""
        return self._store.known(events)

    def lesson(self, event: Event, told: Said) -> Lesson | None:
        """Return what an end teaches; a job that took no time is no run in training either, nor one that never ran."""
        quantiles = len(self.artifact.forecaster.levels)
        if event.run_time is None or told.version != self.version or len(told.plain) != quantiles:
            return None
        run = np.array([float(event.run_time)])
        plain, wallclock = np.array([told.plain]), submitted([event]).wallclock_req
        (levels,) = self.artifact.forecaster.level_of(plain, wallclock, run).tolist()
        return Lesson(self.version, told.tier, tuple(levels))

    def warm(self) -> None:
        """Compile everything that the first calls need, on a history of its own."""
        event = Event("", "warm", 0, 1, 2, "COMPLETED", _EXAMPLE)
        history = MemoryStore(State(), np.zeros(0, np.uint64), 0)
        brief = replace(event, job_id="brief", end_time=event.start_time)
        history.observe([replace(event, start_time=None, end_time=None)])
        history.observe([replace(one, end_time=None) for one in (event, brief)])
        history.observe([event, brief])
        for rows in (1, 3):
            requests = submitted([event] * rows)
            made = self.artifact.forecaster.forecast(requests, history.read(requests))
            made.told(0.1)
            made.given(made.wallclock_req).told(0.1)
            made.distribution.exceedance(made.wallclock_req)
            made.distribution.mode()

    def _take(self, entries: Sequence[Entry]) -> None:
        """Take in entries. A forecast that is made meanwhile reads levels from before or after: each is one number."""
        new = self._store.observe([entry.event for entry in entries])
        calibration = self.artifact.forecaster.calibration
        for entry, is_new in zip(entries, new, strict=True):
            lesson = entry.lesson
            if is_new and lesson is not None and lesson.model == self.version:
                calibration.learn(lesson.tier, np.array(lesson.levels))
        self._number = entries[-1].number
        self.entries += len(entries)


def said(forecasts: Forecasts, version: str) -> list[Said]:
    """Return what the forecasts of a model are compared with later."""
    ends = (forecasts.median, *forecasts.interval.T)
    rows = zip(*(end.tolist() for end in ends), forecasts.plain.tolist(), forecasts.tier.tolist(), strict=True)
    return [Said(median, low, high, tuple(plain), tier, version) for median, low, high, plain, tier in rows]


def submitted(events: Iterable[Event]) -> Requests:
    """Return the events' jobs as they were submitted."""
    return Requests.from_rows([{**event.job, "submit_time": event.submit_time} for event in events])
