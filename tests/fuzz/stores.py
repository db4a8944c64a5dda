"""The service's own files, made wrong: the journal of reported jobs, and the forecasts that are remembered."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from typing import Any

import small_model
from mutations import VALUES, bend
from service import quiet

from rt_predictor_api.live import LiveScores
from rt_predictor_api.metrics import OWN, Metrics
from rt_predictor_api.replica import Replica
from rt_predictor_api.stores.remembered import Remembered
from rt_predictor_core.artifact.load import load
from rt_predictor_core.history import journal as journals
from rt_predictor_core.history.journal import Journal, Lesson
from rt_predictor_formats.errors import Problem

EVENTS = 40


@contextmanager
def journal(folder: Path) -> Iterator[Callable[[Random], str]]:
    """Yield what changes a journal, and lets a model follow it and report to it."""
    artifact = load(small_model.publish_small(folder / "models"))
    path = folder / "journal.sqlite3"
    lesson = Lesson(small_model.VERSION, 1, (0.1, 0.5, 0.9))
    with closing(Journal(path)) as written:
        written.append([small_model.event(number) for number in range(5_000, 5_000 + EVENTS)], [lesson] * EVENTS)
    valid = path.read_bytes()

    def one(random: Random) -> str:
        _spoil(path, valid, _reword, random)
        try:
            with closing(Journal(path)) as damaged:
                Replica(artifact, damaged).follow()
                damaged.append([small_model.event(9_000)])
        except Problem as problem:
            assert problem.code.startswith("HISTORY_"), problem
            return "refused"
        return "answered"

    yield one


@contextmanager
def forecasts(folder: Path) -> Iterator[Callable[[Random], str]]:
    """Yield what changes the file of remembered forecasts, and compares them with ends."""
    artifact = load(small_model.publish_small(folder / "models"))
    with quiet(), closing(Journal(folder / "journal.sqlite3")) as followed:
        replica, path = Replica(artifact, followed), folder / "forecasts.sqlite3"
        events = [small_model.event(number) for number in range(5_000, 5_010)]
        with closing(Remembered(path, 100)) as remembered:
            remembered.keep(
                ((one.job_id, one.submit_time), told) for one, told in zip(events, replica.said(events), strict=True)
            )
        valid = path.read_bytes()

        def one(random: Random) -> str:
            _spoil(path, valid, _resay, random)
            with closing(Remembered(path, 100)) as remembered:
                live = LiveScores(Metrics(OWN), remembered)
                told: Any = live.before(events, replica.said)
                for event, (forecast, _) in zip(events, told, strict=True):
                    replica.lesson(event, forecast)
                live.learn(events, told, [True] * len(events))
            return "answered"

        yield one


def _spoil(path: Path, valid: bytes, reword: Callable[[Path, Random], None], random: Random) -> None:
    """Make a valid file wrong: its bytes, or what stands in it."""
    _put(path, valid)
    if random.random() < 0.5:
        _put(path, bend(valid, [valid], random))
    else:
        reword(path, random)


def _put(path: Path, content: bytes) -> None:
    for more in ("-wal", "-shm"):
        path.with_name(path.name + more).unlink(missing_ok=True)
    path.write_bytes(content)


def _value(random: Random) -> Any:
    value = random.choice((*VALUES, b"", b"\xff\xfe"))
    fits = value is None or isinstance(value, str | float | bytes) or (isinstance(value, int) and abs(value) < 1 << 63)
    return value if fits else "x"


def _reword(path: Path, random: Random) -> None:
    """Change a value of a row and make its checksum fit, where there is one."""
    with closing(sqlite3.connect(path)) as connection, connection:
        column, seq = random.choice(journals._STORED), random.randrange(1, EVENTS)
        try:
            connection.execute(f'UPDATE events SET "{column}" = ? WHERE seq = ?', (_value(random), seq))  # noqa: S608
            names = ", ".join(f'"{name}"' for name in journals._STORED)
            row = connection.execute(f"SELECT {names} FROM events WHERE seq = ?", (seq,)).fetchone()  # noqa: S608
            connection.execute("UPDATE events SET checksum = ? WHERE seq = ?", (journals._checksum(row), seq))
        except (sqlite3.Error, TypeError, OverflowError):
            pass  # no value that a file can hold, or none that has a checksum


def _resay(path: Path, random: Random) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for job, text in connection.execute("SELECT job, said FROM said").fetchall():
            document = json.loads(text)
            at = random.randrange(len(document))
            document[at] = random.choice((*VALUES, document[at], [0.5] * random.randrange(9)))
            changed = random.choice((json.dumps(document), text[:-1], "[" * 9_999, b"\xff"))
            connection.execute("UPDATE said SET said = ? WHERE job = ?", (changed, job))
