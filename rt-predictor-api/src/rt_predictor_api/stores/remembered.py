"""What was forecast of which job, before it ends and after: shared by a machine's processes, kept over a restart."""

from __future__ import annotations

import json
import sqlite3
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from math import inf
from pathlib import Path
from threading import Lock
from typing import Any

import structlog

from rt_predictor_api.live import Identity, Said
from rt_predictor_api.periodic import Periodic
from rt_predictor_core.features.keys import TIERS

WRITE_SECONDS = 0.05
"""How long a forecast may be in the memory of one process only: writing each at once would cost more than making it."""

BUSY_SECONDS = 5.0
"""How long to wait for another process that writes."""

_DAMAGED = (sqlite3.Error, UnicodeDecodeError)
"""What a damaged file leads to: what SQLite says of it may quote it."""

_TABLES = ("said", "ended")
"""Tables of the jobs whose ends are to come, and of those that have ended."""

_CREATE = """
CREATE TABLE IF NOT EXISTS {} (job TEXT NOT NULL, submit INTEGER NOT NULL, said TEXT NOT NULL,
PRIMARY KEY (job, submit))"""


class Remembered:
    """The newest forecasts by identity, in an SQLite file; safe for several threads and processes.

    At most ``most`` of jobs whose ends are to come, and as many of jobs that have ended.
    They are worth comparisons with what comes true, nothing else. So they are written without waiting for the disk,
    and a file that is damaged or cannot be used is made anew, or done without.
    """

    def __init__(self, path: Path, most: int) -> None:
        self._path, self._most = path, most
        self._waiting: OrderedDict[Identity, Said] = OrderedDict()
        self._lock = Lock()
        self._using = Lock()
        self._log = structlog.get_logger()
        self._connection = self._open() or self._anew()
        self._writes = Periodic(self._flush, WRITE_SECONDS, name="remember", failed="forecasts not remembered")
        self._writes.start()

    def keep(self, forecasts: Iterable[tuple[Identity, Said]]) -> None:
        """Remember forecasts; a later one of the same job replaces the earlier."""
        with self._lock:
            for identity, said in forecasts:
                self._waiting[identity] = said
                self._waiting.move_to_end(identity)
            while len(self._waiting) > self._most:
                self._waiting.popitem(last=False)

    def find(self, identities: Sequence[Identity]) -> list[Said | None]:
        """Return what was said of jobs; None where nothing is remembered."""
        with self._lock:
            waiting = [self._waiting.get(identity) for identity in identities]
        return self._completed(identities, waiting, "said")

    def told(self, identities: Sequence[Identity]) -> list[Said | None]:
        """Return what was said of jobs that have ended or have not; None where nothing is remembered."""
        return self._completed(identities, self.find(identities), "ended")

    def finish(self, ended: Iterable[tuple[Identity, Said | None]]) -> None:
        """Expect no more ends of jobs; what was said of them before the end, None for nothing, can still be told."""
        gone = list(ended)
        with self._lock:
            for identity, _ in gone:
                self._waiting.pop(identity, None)
        self._write("DELETE FROM said WHERE job = ? AND submit = ?", [identity for identity, _ in gone])
        self._replace("ended", [(*identity, _text(said)) for identity, said in gone if said is not None])

    def close(self) -> None:
        """Write what waits, and close the file."""
        self._writes.stop()
        self._flush()
        if self._connection is not None:
            self._connection.close()

    def _flush(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, OrderedDict()
        if not waiting:
            return
        self._replace("said", [(*identity, _text(said)) for identity, said in waiting.items()])

    def _replace(self, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Write rows into a table of ``_TABLES``, and take from it what is too old."""
        if not rows:
            return
        # a replaced row gets a new number, so numbers tell the age
        self._write(f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?)", rows)  # noqa: S608 # one of _TABLES
        self._write(f"DELETE FROM {table} WHERE rowid <= (SELECT max(rowid) FROM {table}) - ?", [(self._most,)])  # noqa: S608

    def _completed(self, identities: Sequence[Identity], known: Sequence[Said | None], table: str) -> list[Said | None]:
        """Return what is known, and of the other jobs what a table of ``_TABLES`` tells."""
        missing = [identity for identity, one in zip(identities, known, strict=True) if one is None]
        stored = iter(self._read(missing, table))
        return [next(stored) if one is None else one for one in known]

    def _read(self, identities: Sequence[Identity], table: str) -> list[Said | None]:
        query = f"SELECT said FROM {table} WHERE job = ? AND submit = ?"  # noqa: S608 # one of _TABLES
        with self._using, suppress(sqlite3.Error, ValueError, TypeError, RecursionError):
            if self._connection is not None:
                found = [self._connection.execute(query, identity).fetchone() for identity in identities]
                return [None if row is None else _said(row[0]) for row in found]
        return [None] * len(identities)

    def _write(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        with self._using:
            if self._connection is None or not rows:
                return
            try:
                with self._connection:
                    self._connection.executemany(statement, rows)
            except _DAMAGED as error:
                self._log.warning("forecasts not remembered", path=str(self._path), problem=str(error))

    def _open(self) -> sqlite3.Connection | None:
        try:
            connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS, check_same_thread=False)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=OFF")
            for table in _TABLES:
                connection.execute(_CREATE.format(table))
        except _DAMAGED as error:
            self._log.warning("remembered forecasts not read", path=str(self._path), problem=str(error))
            return None
        return connection

    def _anew(self) -> sqlite3.Connection | None:
        for name in ("", "-wal", "-shm"):
            with suppress(OSError):
                self._path.with_name(self._path.name + name).unlink()
        return self._open()


def _text(said: Said) -> str:
    return json.dumps([said.median, said.lower, said.upper, said.plain, said.tier, said.version])


def _said(text: str) -> Said:
    """Return what a row tells. Raises ValueError or TypeError where that is nothing that was ever said."""
    median, lower, upper, plain, tier, version = json.loads(text)
    numbers = (median, lower, upper, *plain)
    if not all(isinstance(number, float) and 0.0 < number < inf for number in numbers):
        raise ValueError("times that no forecast has")
    if tier not in range(len(TIERS)) or not isinstance(version, str):
        raise ValueError("no tier or no version")
    return Said(median, lower, upper, tuple(plain), int(tier), version)
