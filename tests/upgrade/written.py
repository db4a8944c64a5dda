"""Journals as releases wrote them: programs that make each format, and take nothing from today's code.

A change of the layout leaves these as they are; it adds one.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

APPLICATION = 0x52545048
TEXTS = ("user", "account", "partition", "qos", "name", "work_dir", "submit_line")

Job = dict[str, Any]

JOBS: tuple[Job, ...] = (
    {"id": "1", "submit": 1_700_000_000, "start": 1_700_000_060, "end": 1_700_003_660, "state": "COMPLETED"},
    {"id": "2", "submit": 1_700_000_500, "start": 1_700_000_900, "end": None, "state": None},
)
"""A job that ended and one that runs: what every format can tell."""

ASKED: Job = {
    "user": "ada",
    "account": "physics",
    "partition": "short",
    "qos": "normal",
    "wallclock_req": 7200.0,
    "nodes_req": 2.0,
    "processors_req": 72.0,
    "gpus_req": None,
    "mem_req": 4096.0,
    "name": "relax_7",
    "work_dir": "/home/ada",
    "submit_line": None,
}
"""What each of them asked for."""


def _store(path: Path, version: int, table: str, columns: tuple[str, ...], rows: list[list[Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    names = ", ".join(f'"{name}"' for name in (*columns, "checksum"))
    insert = f"INSERT INTO events ({names}) VALUES ({', '.join('?' * (len(columns) + 1))})"  # noqa: S608 - constants
    with closing(sqlite3.connect(path)) as made, made:
        made.execute(table)
        made.execute(f"PRAGMA application_id={APPLICATION}")
        made.execute(f"PRAGMA user_version={version}")
        for row in rows:
            made.execute(insert, (*row, zlib.crc32(json.dumps(row).encode())))


def _asked() -> str:
    return ", ".join(f'"{name}" {"TEXT" if name in TEXTS else "REAL"}' for name in ASKED)


def journal_1(path: Path) -> None:
    """Write a journal of format 1."""
    table = f"""CREATE TABLE events (seq INTEGER PRIMARY KEY AUTOINCREMENT, cluster TEXT NOT NULL, job_id TEXT NOT NULL,
    submit_time INTEGER NOT NULL, finished INTEGER NOT NULL, start_time INTEGER NOT NULL, end_time INTEGER, state TEXT,
    {_asked()}, checksum INTEGER NOT NULL, UNIQUE (cluster, job_id, submit_time, finished))"""
    columns = ("cluster", "job_id", "submit_time", "finished", "start_time", "end_time", "state", *ASKED)
    rows = [
        [*("", job["id"], job["submit"], int(job["end"] is not None)), *(job["start"], job["end"], job["state"])]
        for job in JOBS
    ]
    rows = [[*row, *ASKED.values()] for row in rows]
    _store(path, 1, table, columns, rows)


def journal_2(path: Path) -> None:
    """Write a journal of format 2, whose first event taught a model something."""
    table = f"""CREATE TABLE events (seq INTEGER PRIMARY KEY AUTOINCREMENT, cluster TEXT NOT NULL, job_id TEXT NOT NULL,
    submit_time INTEGER NOT NULL, kind TEXT NOT NULL, start_time INTEGER, end_time INTEGER, state TEXT, {_asked()},
    model TEXT, tier INTEGER, level_run REAL, level_interval REAL, level_wallclock REAL, checksum INTEGER NOT NULL,
    UNIQUE (cluster, job_id, submit_time, kind))"""
    taught = ("model", "tier", "level_run", "level_interval", "level_wallclock")
    columns = ("cluster", "job_id", "submit_time", "kind", "start_time", "end_time", "state", *ASKED, *taught)
    lessons: list[list[Any]] = [["20260101T000000Z-0a0a0a0a", 1, 0.5, 0.25, 0.75], [None] * 5]
    kinds = ["ended" if job["end"] else "started" for job in JOBS]
    rows = [
        ["", job["id"], job["submit"], kind, job["start"], job["end"], job["state"], *ASKED.values(), *lesson]
        for job, kind, lesson in zip(JOBS, kinds, lessons, strict=True)
    ]
    _store(path, 2, table, columns, rows)


JOURNALS: dict[int, Callable[[Path], None]] = {1: journal_1, 2: journal_2}
"""What writes each format."""

REDIS_ENTRY = (
    '["", "1", 1700000000, "ended", 1700000060, 1700003660, "COMPLETED", "ada", null, null, nul'
    'l, 7200.0, null, null, null, null, null, null, null, "20260101T000000Z-0a0a0a0a", 1, 0.5, 0.25, 0.75, 30927087'
    "24]"
)
"""An entry of the journal in Redis, as release 0.1.0 writes it."""
