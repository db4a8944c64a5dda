"""Reported jobs by user and account, as the site tells names: an index that follows the journal when it is asked.

It is in the memory of the process and holds nothing that the journal does not: it is made by the first question, and
costs nothing where nobody asks.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from threading import Lock
from time import monotonic
from typing import Any, Final

from rt_predictor_api.live import Identity
from rt_predictor_api.replica import Journaled
from rt_predictor_api.security.privacy import Privacy
from rt_predictor_core.history.events import Event, Kind
from rt_predictor_formats.errors import Problem

NAMES: Final = ("user", "account", "name", "work_dir")
"""Columns of a job that are told as names; beside them its id."""

UNTOLD: Final = frozenset({"submit_line"})
"""Columns that are never told: a command line holds whatever people put into it."""

EVENTS_OF_A_JOB: Final = 4
"""Numbers of the journal that a job takes at most: one for each kind of event."""

PAGE_ENTRIES: Final = 2_000
"""Entries that are taken in at a time."""

MOST_SECONDS: Final = 4.0
"""How long one question may take the journal in; what is left then is taken in by the next."""

_RANKS = {Kind.SUBMITTED: 0, Kind.STARTED: 1, Kind.ENDED: 2, Kind.WITHDRAWN: 2}
_CREATE = """
CREATE TABLE jobs (number INTEGER PRIMARY KEY, cluster TEXT NOT NULL, job_id TEXT NOT NULL, submit INTEGER NOT NULL,
place TEXT NOT NULL, rank INTEGER NOT NULL, user TEXT NOT NULL, account TEXT NOT NULL, told TEXT NOT NULL,
UNIQUE (cluster, job_id, submit));
CREATE INDEX newest ON jobs (submit, place);
CREATE INDEX of_user ON jobs (user, submit, place);
CREATE INDEX of_account ON jobs (account, submit, place);
"""
# a job that is told of again gets a new number, so that numbers tell which were told of last
_KEEP = """
INSERT INTO jobs (number, cluster, job_id, submit, place, rank, user, account, told)
VALUES ((SELECT coalesce(max(number), 0) + 1 FROM jobs), ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (cluster, job_id, submit) DO UPDATE SET number = excluded.number, rank = excluded.rank,
user = excluded.user, account = excluded.account, told = excluded.told WHERE excluded.rank > rank
"""

_FORGET = "DELETE FROM jobs WHERE number <= (SELECT max(number) FROM jobs) - ?"


@dataclass(frozen=True, order=True)
class Place:
    """Where a job stands among all: by submit time [s since 1970], and a hash that tells apart those of one second."""

    submit: int
    key: str


@dataclass(frozen=True)
class Listed:
    """A reported job as it is told.

    Attributes
    ----------
    identity: what its forecast is remembered by; not told. place: see ``Place``.
    job_id, job: as told; ``job`` by canonical columns. start_time, end_time: [s since 1970], None where there is none.
    state: one of ``schema.STATES``; None where not told.
    """

    identity: Identity
    place: Place
    cluster: str
    job_id: str
    job: dict[str, str | float | None]
    start_time: int | None
    end_time: int | None
    state: str | None


class JobIndex:
    """The newest reported jobs, at most ``most``; safe for several threads.

    Parameters
    ----------
    journal: what it follows. privacy: how names are told. most: jobs; those that were not told of for longest go.
    """

    def __init__(self, journal: Journaled, privacy: Privacy, most: int) -> None:
        self._journal, self._privacy, self._most = journal, privacy, most
        self._connection: sqlite3.Connection | None = None
        self._number, self._mark = 0, -1
        self._lock = Lock()

    def page(self, user: str, account: str, size: int, after: Place | None) -> list[Listed]:
        """Return the newest jobs that come after a place, at most ``size``, of a user and an account if not empty.

        Raises
        ------
        Problem
            ``HISTORY_UNAVAILABLE`` or ``HISTORY_CORRUPT`` where the journal cannot be read, ``HISTORY_BEHIND`` where
            there is much that was not read yet.
        """
        conditions = {"user = ?": user, "account = ?": account}
        wanted = {text: value for text, value in conditions.items() if value}
        values: list[Any] = [*wanted.values()]
        terms = [*wanted]
        if after is not None:
            terms.append("(submit, place) < (?, ?)")
            values += [after.submit, after.key]
        where = f"WHERE {' AND '.join(terms)}" if terms else ""
        query = f"SELECT job_id, submit, place, told FROM jobs {where} ORDER BY submit DESC, place DESC LIMIT ?"  # noqa: S608 # constants
        with self._lock:
            rows = self._followed().execute(query, (*values, size)).fetchall()
        return [_listed(*row) for row in rows]

    def close(self) -> None:
        """Give up what it holds."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _followed(self) -> sqlite3.Connection:
        """Return the index, brought up to date."""
        connection = self._connection or self._begun()
        mark = self._journal.mark()
        if mark != self._mark:
            replay, end = self._journal.replay(self._number), monotonic() + MOST_SECONDS
            while page := list(islice(replay, PAGE_ENTRIES)):
                with connection:
                    connection.executemany(_KEEP, self._rows([entry.event for entry in page]))
                    connection.execute(_FORGET, (self._most,))
                self._number = page[-1].number
                if len(page) == PAGE_ENTRIES and monotonic() > end:
                    raise Problem(
                        "HISTORY_BEHIND",
                        "reported jobs are still being read",
                        remedy="try again: it goes on there",
                    )
            self._mark = mark
        return connection

    def _begun(self) -> sqlite3.Connection:
        # of older entries no job would be kept
        self._number, self._mark = max(self._journal.newest() - EVENTS_OF_A_JOB * self._most, 0), -1
        self._connection = sqlite3.connect(":memory:", check_same_thread=False)
        self._connection.executescript(_CREATE)
        return self._connection

    def _rows(self, events: Sequence[Event]) -> Iterator[tuple[Any, ...]]:
        tell = self._privacy.told
        for event in events:
            job = {name: value for name, value in event.job.items() if value is not None and name not in UNTOLD}
            job |= {name: tell(name, str(job.get(name, ""))) for name in NAMES}
            job_id = tell("job_id", event.job_id)
            told = (event.cluster, job_id, job, event.start_time, event.end_time, event.state)
            key = self._privacy.hashed("place", f"{event.cluster}\0{event.job_id}")
            yield (
                *(event.cluster, event.job_id, event.submit_time, key),
                *(_RANKS[event.kind], job["user"], job["account"], json.dumps(told)),
            )


def _listed(job_id: str, submit: int, key: str, told: str) -> Listed:
    return Listed((job_id, submit), Place(submit, key), *json.loads(told))
