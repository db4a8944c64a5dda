"""A log as events: what the history could know, in the order in which it could know it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rt_predictor_core.features.history import END, LEAVE, START, SUBMIT
from rt_predictor_core.requests import Requests, identity, seconds

GOOD_STATE = "COMPLETED"
"""The state of a job that did not fail; an unknown state counts as good."""


_NAMES_AT_A_TIME = 500_000


@dataclass(frozen=True)
class EventLog:
    """``n`` jobs of a log as columns.

    Attributes
    ----------
    submit, start, end: int64[n], seconds since 1970; a start or an end that the log does not tell is negative.
    run: float64[n], run time [s]. request: float64[n], requested wallclock [s], NaN if unknown.
    failed: float64[n], 1 where the job ended in another state than ``GOOD_STATE``.
    ran: bool[n], whether the job started, ended and took time: others are asked for but never observed.
    identity: uint64[n], see ``requests.identity``.
    """

    submit: np.ndarray
    start: np.ndarray
    end: np.ndarray
    run: np.ndarray
    request: np.ndarray
    failed: np.ndarray
    ran: np.ndarray
    identity: np.ndarray

    def __len__(self) -> int:
        return len(self.submit)

    @classmethod
    def from_arrow(cls, table: pa.Table | pa.RecordBatch, requests: Requests) -> EventLog:
        """Build from canonical columns; ``requests`` are the same rows."""
        run = pc.fill_null(pc.cast(table["run_time"], pa.float64()), 0.0)
        run = np.asarray(run, np.float64)
        start, end = seconds(table["start_time"], -1), seconds(table["end_time"], -1)
        state = pc.fill_null(table["state"], GOOD_STATE)
        return cls(
            submit=requests.submit_time,
            start=start,
            end=end,
            run=run,
            request=requests.wallclock_req,
            failed=np.asarray(pc.not_equal(state, GOOD_STATE)).astype(np.float64),
            ran=(run > 0.0) & (start >= 0) & (end >= 0),
            identity=_identities(pc.fill_null(table["job_id"], ""), requests.submit_time),
        )

    def take(self, rows: np.ndarray | slice) -> EventLog:
        """Return the rows that an index array, a mask or a slice selects."""
        return EventLog(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def events(self) -> tuple[np.ndarray, np.ndarray]:
        """Return all events in order: their kinds, uint8[m], and the jobs they happen to, int64[m].

        Ends come before starts before submits of the same second. A job never shows before the second after its own
        submit, so that jobs of one second do not see each other; ends of one second are ordered by what they
        teach, starts by what is known of them. The order of the rows therefore never matters. A job that ends no later
        than it starts to show has no start event: it never runs for any reader. A job that waits, but has no start
        event, has one when it leaves the queue.
        """
        return self._events

    @cached_property
    def queued(self) -> np.ndarray:
        """Which jobs wait for any reader, bool[n]: from the second after their submit until they start.

        A job that never starts waits until its end; one whose start and end the log does not tell, never.
        """
        return self._left > self.submit + 1

    @property
    def _left(self) -> np.ndarray:
        """When the jobs leave the queue, int64[n]; negative where that is not told."""
        return np.where(self.start >= 0, self.start, self.end)

    @cached_property
    def _events(self) -> tuple[np.ndarray, np.ndarray]:
        ran = np.flatnonzero(self.ran)
        shown = self.submit + 1
        starts, ends = np.maximum(self.start, shown), np.maximum(self.end, shown)
        runs = self.ran & (starts < ends)
        seen, leaving = np.flatnonzero(runs), np.flatnonzero(self.queued & ~runs)
        jobs = np.concatenate([ran, seen, leaving, np.arange(len(self))])
        moments = np.concatenate([ends[ran], starts[seen], self._left[leaving], self.submit])
        counts = [len(ran), len(seen), len(leaving), len(self)]
        kinds = np.repeat(np.array([END, START, LEAVE, SUBMIT], np.uint8), counts)
        # only an end may be ordered by what it tells: a running job must not
        failed, run = (np.where(kinds == END, column[jobs], 0.0) for column in (self.failed, self.run))
        order = np.lexsort((self.identity[jobs], failed, self.request[jobs], run, self.submit[jobs], kinds, moments))
        return kinds[order], jobs[order]


def _identities(names: pa.Array | pa.ChunkedArray, submit: np.ndarray) -> np.ndarray:
    """Return the identities of jobs, uint64[n], some at a time: as objects of Python they take much memory."""
    out = np.empty(len(names), np.uint64)
    for begin in range(0, len(names), _NAMES_AT_A_TIME):
        some = slice(begin, begin + _NAMES_AT_A_TIME)
        pairs = zip(names[some].to_pylist(), submit[some].tolist(), strict=True)
        out[some] = [identity(job, moment) for job, moment in pairs]
    return out
