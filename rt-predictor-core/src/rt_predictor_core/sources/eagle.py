"""NREL's Eagle data set (https://github.com/NREL/eagle-jobs): the canonical columns under their own names.

Parquet, or CSV with a header, plain, .gz or .bz2. Times carry no zone. Needed are ``submit_time`` and either
``run_time`` or both of ``start_time`` and ``end_time``; other columns may be absent and are then null. This is also
the format in which the synthetic generator writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rt_predictor_core.schema import BY_NAME
from rt_predictor_core.sources.canonical import NUMBERS, TEXTS, TIMES, Draft
from rt_predictor_core.sources.contract import Chunk, Reading, Source
from rt_predictor_core.sources.lines import head_of
from rt_predictor_core.sources.tables import Header, header, rows_of
from rt_predictor_formats.errors import Problem

_ENOUGH = 3
"""So many canonical names make a table an Eagle table, or one that was meant to be."""


def sniff(path: Path, head: bytes) -> float:
    """Return the share of the table's columns that have canonical names; 0 for what is no table."""
    found = header(path, head)
    known = [name for name in found.names if name in BY_NAME] if found else []
    return len(known) / len(found.names) if found and len(known) >= _ENOUGH else 0.0


def read(reading: Reading) -> Iterator[Chunk]:
    """Yield the jobs of an Eagle table.

    Raises
    ------
    Problem
        COLUMN_MISSING where the table cannot tell when or how long jobs ran; else as ``tables.rows_of``.
    """
    head = header(reading.path, head_of(reading.path)) or Header((), ",")
    _demand(head, reading.path)
    names = [name for name in head.names if name in BY_NAME]
    for rows in rows_of(reading, head, names):
        draft = Draft(rows, reading)
        for name in names:
            cells = rows.cells[name]
            if name in TEXTS:
                draft.text(name, cells)
            elif name in NUMBERS:
                draft.number(name, cells)
            elif name in TIMES:
                draft.time(name, cells)
            else:
                draft.state(cells)
        yield draft.finish()


def _demand(head: Header, path: Path) -> None:
    missing = [] if "submit_time" in head.names else ["submit_time"]
    if "run_time" not in head.names and not {"start_time", "end_time"} <= set(head.names):
        missing.append("run_time (or start_time and end_time)")
    if missing:
        raise Problem(
            "COLUMN_MISSING",
            f"no column {' and no column '.join(missing)}; found are {', '.join(head.names)}",
            place=str(path),
            remedy="add it, or rename the column that holds it",
        )


SOURCE = Source(
    "eagle", "Eagle table (parquet, CSV): columns such as submit_time, run_time, wallclock_req", sniff, read
)
