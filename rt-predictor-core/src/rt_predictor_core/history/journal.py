"""The durable record of reported job events: append, replay, nothing else.

A journal is one SQLite database in write-ahead mode with ``synchronous=FULL``: an append that returned survives a
killed process and a power cut (https://www.sqlite.org/wal.html). Rows are only ever inserted; each carries a
checksum of its values, because SQLite itself does not notice a flipped byte inside a value. Several processes of one
machine may use the same file: SQLite lets one write at a time, and readers never wait for it.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any

from rt_predictor_core.history.events import LESSON, NUMBERS, REQUEST_COLUMNS, STORED, checksum, entry_of, row_of
from rt_predictor_core.history.mark import SharedMark
from rt_predictor_core.history.migration import from_format_1
from rt_predictor_formats.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from rt_predictor_core.history.events import Entry, Event, Lesson

FORMAT = 2
"""Number of the table layout, kept in the database's ``user_version``; format 1 is brought to it when it is opened."""

APPLICATION = 0x52545048
"""SQLite's ``application_id`` of a journal: "RTPH"."""

REPLAY_ROWS = 2000
"""Rows read at a time by a replay, so that an append never waits long for it."""

BUSY_SECONDS = 30.0
"""How long an append waits for another process that writes to the same journal."""

_CREATE = f"""
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    cluster TEXT NOT NULL,
    job_id TEXT NOT NULL,
    submit_time INTEGER NOT NULL,
    kind TEXT NOT NULL,
    start_time INTEGER,
    end_time INTEGER,
    state TEXT,
    {", ".join(f'"{name}" {"REAL" if name in NUMBERS else "TEXT"}' for name in REQUEST_COLUMNS)},
    model TEXT,
    tier INTEGER,
    level_run REAL,
    level_interval REAL,
    level_wallclock REAL,
    checksum INTEGER NOT NULL,
    UNIQUE (cluster, job_id, submit_time, kind)
)"""
_NAMES = ", ".join(f'"{name}"' for name in STORED)
_INSERT = (
    f"INSERT INTO events ({_NAMES}, checksum) VALUES ({', '.join('?' * (len(STORED) + 1))}) "  # noqa: S608 # names are constants
    "ON CONFLICT (cluster, job_id, submit_time, kind) DO NOTHING"
)
_SELECT = f"SELECT seq, {_NAMES}, checksum FROM events WHERE seq > ? ORDER BY seq LIMIT {REPLAY_ROWS}"  # noqa: S608 # as above
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class Journal:
    """Events in the order in which they were first reported; one file, safe for several threads and processes.

    Parameters
    ----------
    path: the database file; it and its folder are made where missing.

    Raises
    ------
    Problem
        ``HISTORY_NOT_WRITABLE`` where the file cannot be written, ``HISTORY_CORRUPT`` where it is no intact journal,
        ``HISTORY_FORMAT`` where a newer release has written it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        with ExitStack() as opened:
            with self._explained():
                path.parent.mkdir(parents=True, exist_ok=True)
                self._connection = opened.enter_context(closing(self._connect()))
                self._open()
                # of its own, so that a replay never waits for the disk
                self._reader = opened.enter_context(closing(self._connect()))
                self._mark = opened.enter_context(closing(SharedMark(path.with_name(f"{path.name}-mark"))))
            self._opened = opened.pop_all()

    def append(self, events: Sequence[Event], lessons: Sequence[Lesson | None] | None = None) -> list[bool]:
        """Store events with what they taught; when this returns they are on disk, and when it raises none of them is.

        Returns one flag per event: True where it is new, False where its cluster, job id, submit time and kind
        were stored before; the first report of an event stays as it is.

        Raises
        ------
        Problem
            ``HISTORY_NOT_WRITABLE`` on a full disk and the like, ``HISTORY_CORRUPT`` on a damaged file.
        """
        rows = [row_of(event, lesson) for event, lesson in zip(events, lessons or [None] * len(events), strict=True)]
        with self._lock, self._explained(), self._transaction():
            new = [self._connection.execute(_INSERT, row).rowcount == 1 for row in rows]
        if any(new):
            self._mark.change()
        return new

    def mark(self) -> int:
        """Return a number that is another one after every append, of whichever process."""
        return self._mark()

    def newest(self) -> int:
        """Return the number of the newest entry; 0 where there is none.

        Raises
        ------
        Problem
            ``HISTORY_CORRUPT`` where it cannot be read.
        """
        with self._reading, self._explained():
            return int(self._reader.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0])

    def replay(self, after: int = 0) -> Iterator[Entry]:
        """Yield what was stored later than the entry ``after``, in order of arrival.

        Numbers rise, but not by one: a duplicate may use one up. What is appended meanwhile is included.

        Raises
        ------
        Problem
            ``HISTORY_CORRUPT`` where a row cannot be read or differs from its checksum.
        """
        while page := self._page(after):
            for seq, *row in page:
                try:
                    entry = entry_of(seq, row)
                except ValueError as error:
                    raise self._corrupt(f"event {seq} {error}") from error
                yield entry
            after = page[-1][0]

    def close(self) -> None:
        """Close the file. Using the journal afterwards is an error of the caller."""
        with self._lock, self._reading:
            self._opened.close()

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)

    def _open(self) -> None:
        """Check that the file is a journal, or make it one, and bring its settings in order."""
        run = self._connection.execute
        application, version, tables = (
            run(query).fetchone()[0]
            for query in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_schema")
        )
        if tables and (application != APPLICATION or version < 1):
            raise self._corrupt("the file is no journal")
        if version > FORMAT:
            raise Problem(
                "HISTORY_FORMAT",
                f"the journal has format {version}, of a newer release; this one reads {FORMAT} and older",
                place=str(self._path),
                remedy="start the newer release, or restore the backup from before the upgrade: docs/how-to/upgrade.md",
            )
        damage = run("PRAGMA quick_check(1)").fetchone()[0]
        if damage != "ok":
            raise self._corrupt(damage)
        run("PRAGMA journal_mode=WAL")
        run("PRAGMA synchronous=FULL")
        with self._transaction():
            if version == 1:
                self._migrate()
            run(_CREATE)
            run(f"PRAGMA application_id={APPLICATION}")
            run(f"PRAGMA user_version={FORMAT}")
        self._keep_name()

    def _migrate(self) -> None:
        # another process may have done it while this one waited for the file
        if self._connection.execute("PRAGMA user_version").fetchone()[0] == 1:
            damaged = from_format_1(self._connection, STORED, LESSON, _CREATE, checksum)
            if damaged is not None:
                raise self._corrupt(f"event {damaged} differs from its checksum")

    def _keep_name(self) -> None:
        """Bring the file's name to disk: SQLite does so for its log, not for a database that it creates."""
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _page(self, after: int) -> list[Any]:
        with self._reading, self._explained():
            return self._reader.execute(_SELECT, (after,)).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        finally:
            # SQLite has rolled back by itself on some errors, such as a full disk
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what SQLite and the file system say into a Problem."""
        try:
            yield
        except sqlite3.ProgrammingError:
            raise  # a mistake of the caller, such as using a closed journal
        except UnicodeDecodeError as error:
            raise self._corrupt("the file names what is no text") from error
        except sqlite3.DatabaseError as error:
            # the low byte is the kind of error, the rest its detail
            if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF in _DAMAGED:
                raise self._corrupt(str(error)) from error
            raise self._not_writable(str(error)) from error
        except OSError as error:
            raise self._not_writable(error.strerror or str(error)) from error

    def _corrupt(self, thing: str) -> Problem:
        return Problem(
            "HISTORY_CORRUPT",
            thing,
            place=str(self._path),
            remedy=f"restore the file from a backup, or move it away (with {self._path.name}-wal and -shm) and start "
            "with the history of the model",
        )

    def _not_writable(self, thing: str) -> Problem:
        return Problem(
            "HISTORY_NOT_WRITABLE",
            thing,
            place=str(self._path),
            remedy="give the service a folder that it may write to, with free space, used by no other process",
        )
