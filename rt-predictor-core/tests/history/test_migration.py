"""A journal of format 1, as an earlier release wrote it, is brought to today's format with everything in it."""

from __future__ import annotations

import json
import sqlite3
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from rt_predictor_core.history.events import REQUEST_COLUMNS, Event
from rt_predictor_core.history.journal import APPLICATION, FORMAT, Journal
from rt_predictor_core.schema import BY_NAME
from rt_predictor_formats.errors import Problem

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = ("cluster", "job_id", "submit_time", "finished", "start_time", "end_time", "state", *REQUEST_COLUMNS)
OLD = f"""
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    cluster TEXT NOT NULL,
    job_id TEXT NOT NULL,
    submit_time INTEGER NOT NULL,
    finished INTEGER NOT NULL,
    start_time INTEGER NOT NULL,
    end_time INTEGER,
    state TEXT,
    {", ".join(f'"{name}" {"TEXT" if BY_NAME[name].unit == "text" else "REAL"}' for name in REQUEST_COLUMNS)},
    checksum INTEGER NOT NULL,
    UNIQUE (cluster, job_id, submit_time, finished)
)"""
JOB = {**dict.fromkeys(REQUEST_COLUMNS), "user": "ada", "wallclock_req": 3600.0, "name": "relax_17"}


def event(number: int, *, finished: bool) -> Event:
    end, state = (3_000 + number, "FAILED") if finished else (None, None)
    return Event("", str(number), 1_000 + number, 2_000 + number, end, state, JOB)


def stored(one: Event) -> tuple[Any, ...]:
    """What format 1 kept of an event."""
    job = [one.job[name] for name in REQUEST_COLUMNS]
    identity = (one.cluster, one.job_id, one.submit_time, int(one.end_time is not None))
    values = (*identity, one.start_time, one.end_time, one.state, *job)
    return (*values, zlib.crc32(json.dumps(list(values)).encode()))


@pytest.fixture
def former(tmp_path: Path) -> tuple[Path, dict[int, Event]]:
    """A journal of format 1 with gaps between its numbers, and its events by number."""
    path, events = tmp_path / "journal.sqlite3", {}
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(OLD)
    connection.execute(f"PRAGMA application_id={APPLICATION}")
    connection.execute("PRAGMA user_version=1")
    connection.execute("PRAGMA journal_mode=WAL")
    places = ", ".join("?" * (len(COLUMNS) + 1))
    columns = ", ".join(f'"{name}"' for name in COLUMNS)
    insert = f"INSERT INTO events ({columns}, checksum) VALUES ({places}) ON CONFLICT DO NOTHING"  # noqa: S608 # names are constants
    connection.execute("BEGIN")
    for number in range(2_500):
        for finished in (False, True, True):  # a duplicate uses a number up
            one = event(number, finished=finished)
            done = connection.execute(insert, stored(one))
            if done.rowcount:
                assert done.lastrowid is not None
                events[done.lastrowid] = one
    connection.execute("COMMIT")
    connection.close()
    assert max(events) > len(events)
    return path, events


def test_nothing_is_lost_and_every_event_keeps_its_number(former: tuple[Path, dict[int, Event]]) -> None:
    path, events = former
    for _ in range(2):  # the second time there is nothing to do
        journal = Journal(path)
        entries = list(journal.replay())
        assert {entry.number: entry.event for entry in entries} == events
        assert not any(entry.lesson for entry in entries)
        journal.close()
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone()[0] == FORMAT
    assert [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")] == [
        "sqlite_sequence",
        "events",
    ]
    connection.close()


def test_it_goes_on_with_all_kinds_of_events(former: tuple[Path, dict[int, Event]]) -> None:
    path, events = former
    journal = Journal(path)
    withdrawn = Event("", "1", 1_001, None, 1_005, "CANCELLED", JOB)
    new = journal.append([event(1, finished=True), withdrawn])
    assert new == [False, True]
    assert list(journal.replay(after=max(events)))[-1].event == withdrawn
    journal.close()


def test_a_damaged_event_is_named_and_the_file_stays_as_it_was(former: tuple[Path, dict[int, Event]]) -> None:
    path, events = former
    damaged = max(events) - 1
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE events SET name = 'relay' WHERE seq = ?", (damaged,))
    before = list(connection.execute("SELECT * FROM events"))
    for _ in range(2):
        with pytest.raises(Problem, match=f"event {damaged} differs from its checksum") as caught:
            Journal(path)
        assert caught.value.code == "HISTORY_CORRUPT"
    assert list(connection.execute("SELECT * FROM events")) == before
    assert connection.execute("PRAGMA user_version").fetchone()[0] == 1
    connection.close()
