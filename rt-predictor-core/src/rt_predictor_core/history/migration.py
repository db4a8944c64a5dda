"""Bringing a journal of an earlier release to today's layout, with all its events and their numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import sqlite3

FINISHED: Final = 3
"""Place of the column that format 1 had where format 2 has the kind: 1 for the end of a job, 0 for its start."""


def from_format_1(
    connection: sqlite3.Connection,
    columns: Sequence[str],
    added: Sequence[str],
    create: str,
    checksum: Callable[[Sequence[Any]], int],
) -> int | None:
    """Replace the table of format 1 by one of format 2; call it within a transaction.

    ``columns`` are those of format 2 from ``cluster`` on, of which ``added``, the last, are new; ``create`` makes its
    table. Returns the number of an event that differs from its checksum, None where there is none: a damaged event must
    not get a checksum that fits.
    """
    run = connection.execute
    former = [*columns[:FINISHED], "finished", *columns[FINISHED + 1 : -len(added)]]
    highest = run("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
    run("ALTER TABLE events RENAME TO events_1")
    run(create)
    insert = f"INSERT INTO events (seq, {_quoted(columns)}, checksum) VALUES ({', '.join('?' * (len(columns) + 2))})"  # noqa: S608 # names are constants
    for seq, *values, told in run(f"SELECT seq, {_quoted(former)}, checksum FROM events_1 ORDER BY seq"):  # noqa: S608 # as above
        if told != checksum(values):
            return int(seq)
        values[FINISHED] = "ended" if values[FINISHED] else "started"
        row = [*values, *[None] * len(added)]
        run(insert, (seq, *row, checksum(row)))
    run("DROP TABLE events_1")
    if highest:
        # numbers that were used up by duplicates are not given again
        run("UPDATE sqlite_sequence SET seq = ? WHERE name = 'events'", highest)
    return None


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
