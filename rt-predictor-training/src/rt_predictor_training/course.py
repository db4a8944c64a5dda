"""The jobs that training and backtest walk through, with what was known of each at its submit time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Final, TypeVar

import numpy as np

from rt_predictor_core.features.table import FIRST_QUEUED, HistoryRows, assemble
from rt_predictor_core.history.log import EventLog
from rt_predictor_core.history.state import State
from rt_predictor_core.requests import Requests
from rt_predictor_training.facts import Facts
from rt_predictor_training.ingest import Jobs

Rows = TypeVar("Rows", Requests, EventLog, HistoryRows)

UNTOLD_IN: Final = 16
"""Of so many jobs one is fitted as if nothing was known of the queue, as in a service that hears of no submissions."""

_IDENTITY_BITS: Final = np.uint64(32)


@dataclass(frozen=True)
class Course:
    """The newest ``n`` jobs of a log that ran, in submit order.

    Attributes
    ----------
    requests, events, history: of those jobs. facts: of the whole log.
    """

    requests: Requests
    events: EventLog
    history: HistoryRows
    facts: Facts

    @classmethod
    def of(
        cls,
        jobs: Jobs,
        state: State,
        newest: int | None = None,
        on_progress: Callable[[int, int], None] = lambda *_: None,
    ) -> Course:
        """Replay a whole log into ``state``, and take the ``newest`` jobs that ran, or all of those."""
        ran = np.flatnonzero(jobs.events.ran)
        ran = ran if newest is None else ran[max(0, len(ran) - newest) :]
        history = state.replay(jobs.events, jobs.requests, ran, on_progress)
        return cls(jobs.requests.take(ran), jobs.events.take(ran), history, jobs.facts)

    def __len__(self) -> int:
        return len(self.events)

    def newest(self, jobs: int) -> Course:
        """Return the newest jobs alone."""
        rows = slice(max(0, len(self) - jobs), len(self))
        return Course(self.requests.take(rows), self.events.take(rows), self.history.take(rows), self.facts)

    def followed_by(self, newer: Course) -> Course:
        """Return this course, and after it the jobs of a newer one that were submitted after the last end of this log.

        The history that was read for an earlier one knew of ends that were still to come. Of jobs that never ran it
        still may: one that was withdrawn after that end does not wait for those that were submitted in between.
        """
        rows = slice(int(np.searchsorted(newer.submit, self.facts.last_end)), len(newer))
        return Course(
            _joined(self.requests, newer.requests.take(rows)),
            _joined(self.events, newer.events.take(rows)),
            _joined(self.history, newer.history.take(rows)),
            self.facts.followed_by(newer.facts),
        )

    @cached_property
    def table(self) -> np.ndarray:
        """The feature table, float32[n, features]."""
        return assemble(self.requests, self.history)

    def inputs(self, rows: np.ndarray, *, queued: bool) -> np.ndarray:
        """Return what members are fitted on of some jobs, int64[k]: float32[k, features].

        With ``queued``, what waits is among it, but for one job of ``UNTOLD_IN``, chosen by its identity.
        """
        if not queued:
            return np.ascontiguousarray(self.table[rows, :FIRST_QUEUED])
        table: np.ndarray = self.table[rows]
        untold = (self.events.identity[rows] >> _IDENTITY_BITS) % np.uint64(UNTOLD_IN) == 0
        table[untold, FIRST_QUEUED:] = np.nan
        return table

    @property
    def run(self) -> np.ndarray:
        """Run times, float64[n] in seconds."""
        return self.events.run

    @property
    def end(self) -> np.ndarray:
        """When the jobs ended, int64[n]."""
        return self.events.end

    @property
    def submit(self) -> np.ndarray:
        """When the jobs were submitted, int64[n], never falling."""
        return self.events.submit

    @property
    def wallclock_req(self) -> np.ndarray:
        """Requested wallclocks, float64[n] in seconds, NaN if unknown."""
        return self.events.request

    def ended(self, first: int, begin: int = 0) -> np.ndarray:
        """Return the jobs from ``begin`` on that had ended when job ``first`` was submitted, int64."""
        return begin + np.flatnonzero(self.end[begin:first] <= self.submit[first])


def _joined(older: Rows, newer: Rows) -> Rows:
    columns = (field.name for field in fields(older))
    return type(older)(*(np.concatenate([getattr(older, name), getattr(newer, name)]) for name in columns))
