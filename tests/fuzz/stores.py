"""What the service keeps, made wrong: the journal of reported jobs, a file or in Redis, and remembered forecasts."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from typing import Any

import small_model
from mutations import VALUES, bend
from redis import Redis
from service import quiet

from rt_predictor_api.live import LiveScores
from rt_predictor_api.metrics import OWN, Metrics
from rt_predictor_api.replica import Replica
from rt_predictor_api.stores.redis import STREAM, RedisJournal
from rt_predictor_api.stores.remembered import Remembered
from rt_predictor_core.artifact.load import load
from rt_predictor_core.history.events import STORED, Lesson, checksum, row_of
from rt_predictor_core.history.journal import Journal
from rt_predictor_formats.errors import Problem

EVENTS = 40
REDIS_SECONDS = 60.0


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
def redis(folder: Path) -> Iterator[Callable[[Random], str]]:
    """Yield what changes an entry of a journal in a real Redis, and lets a model follow it."""
    artifact = load(small_model.publish_small(folder / "models"))
    lesson = Lesson(small_model.VERSION, 1, (0.1, 0.5, 0.9))
    rows = [row_of(small_model.event(number), lesson) for number in range(5_000, 5_000 + EVENTS)]
    with _redis_server(folder) as url, Redis.from_url(url) as server, closing(RedisJournal(url, 10.0)) as journal:

        def one(random: Random) -> str:
            server.delete(STREAM)
            spoilt = random.randrange(4)
            for number, row in enumerate(random.sample(rows, 4)):
                fields = _spoilt_entry(row, random) if number == spoilt else {b"entry": json.dumps(row).encode()}
                server.xadd(STREAM, fields, id=f"{number + 1}-1")
            try:
                Replica(artifact, journal).follow()
            except Problem as problem:
                assert problem.code == "HISTORY_CORRUPT", problem
                return "refused"
            return "answered"

        yield one


@contextmanager
def _redis_server(folder: Path) -> Iterator[str]:
    path = folder / "redis.sock"
    words = ["redis-server", "--port", "0", "--unixsocket", str(path), "--dir", str(folder), "--save", ""]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + REDIS_SECONDS
        while not path.exists():
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.01)
        yield f"unix://{path}"
    finally:
        process.terminate()
        process.wait()


def _spoilt_entry(row: tuple[Any, ...], random: Random) -> dict[bytes, bytes]:
    """Return the fields of an entry that are wrong: their bytes, a value with or without a checksum that fits."""
    values = list(row)
    text = json.dumps(values).encode()
    kind = random.randrange(4)
    if kind == 0:
        return {b"entry": bend(text, [text], random)}
    if kind == 1:
        return {random.choice((b"", b"other", b"entry")): random.choice((b"", b"[" * 99_999, b"null", b"{}", b"[]"))}
    values[random.randrange(len(values))] = random.choice(VALUES)
    if kind == 2:
        values[-1] = checksum(values[:-1])
    return {b"entry": json.dumps(values).encode()}


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
        column, seq = random.choice(STORED), random.randrange(1, EVENTS)
        try:
            connection.execute(f'UPDATE events SET "{column}" = ? WHERE seq = ?', (_value(random), seq))  # noqa: S608
            names = ", ".join(f'"{name}"' for name in STORED)
            row = connection.execute(f"SELECT {names} FROM events WHERE seq = ?", (seq,)).fetchone()  # noqa: S608
            connection.execute("UPDATE events SET checksum = ? WHERE seq = ?", (checksum(row), seq))
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
