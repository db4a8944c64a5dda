"""What a source of jobs is: a pair of functions, and what passes between them and the log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

FAILURE = {"row": pl.Int64(), "column": pl.String(), "rule": pl.String(), "value": pl.String()}
"""Frame of cells that break a rule; ``row`` counts from 0 within the chunk."""

REJECT = {
    "line": pl.Int64(),
    "column": pl.String(),
    "rule": pl.String(),
    "value": pl.String(),
    "raw": pl.String(),
}
"""Frame of rows that were left out; ``line`` counts from 1 within the file (rows, where a file has no lines)."""


@dataclass
class Notes:
    """What a person should know about how a log was read: plain sentences, some with a count of rows."""

    _facts: dict[str, None] = field(default_factory=dict)
    _counts: Counter[str] = field(default_factory=Counter)

    def add(self, sentence: str) -> None:
        """Keep a sentence that holds for the whole log; a repeated one is kept once."""
        self._facts[sentence] = None

    def count(self, sentence: str, rows: int) -> None:
        """Add ``rows`` to the number of rows that a sentence speaks of; zero leaves no trace."""
        if rows:
            self._counts[sentence] += rows

    def sentences(self, rows: int) -> list[str]:
        """Return all notes in the order of their first mention; counts are told against ``rows`` in all."""
        told = [
            f"{text} (all rows)" if n >= rows else f"{text} ({n} of {rows} rows)" for text, n in self._counts.items()
        ]
        return [*self._facts, *told]


@dataclass(frozen=True)
class Reading:
    """One file to be read, and how.

    Attributes
    ----------
    path: the file.
    chunk_rows: greatest number of rows in a chunk.
    timezone: IANA name of the zone in which times without a zone are understood.
    notes: gathers what a person should know.
    progress: told the position in the file [bytes, compressed], never falling.
    """

    path: Path
    chunk_rows: int
    timezone: str
    notes: Notes
    progress: Callable[[int], None]


@dataclass(frozen=True)
class Rows:
    """Rows as they stand in a file, before their cells are understood.

    Attributes
    ----------
    cells: one column per column of the file that is wanted, text or typed.
    lines: line of each row in the file, from 1 (rows, where a file has no lines).
    quote: gives the text of the rows with these positions in ``cells``.
    broken: lines that are no rows, a frame of ``REJECT``.
    """

    cells: pl.DataFrame
    lines: pl.Series
    quote: Callable[[Sequence[int]], list[str]]
    broken: pl.DataFrame

    def where(self, keep: pl.Series) -> Rows:
        """Return the rows where ``keep`` is true; the lines that are no rows stay."""
        places = keep.arg_true().to_list()
        return Rows(
            self.cells.filter(keep),
            self.lines.filter(keep),
            lambda rows: self.quote([places[row] for row in rows]),
            self.broken,
        )


@dataclass(frozen=True)
class Chunk:
    """Rows with their cells understood: canonical columns, and the cells that could not be read (``FAILURE``)."""

    frame: pl.DataFrame
    misread: pl.DataFrame
    rows: Rows


@dataclass(frozen=True)
class Source:
    """One format of logs.

    Attributes
    ----------
    name: one word.
    known_by: what a file of this format looks like, for the error about an unknown one.
    sniff: confidence in [0, 1] that a file is of this format, from its path and its first bytes (decompressed).
    read: yields the file's rows in order; raises Problem where the file as a whole cannot be read.
    processors: size of the machine by what a file says of itself; None where it does not.
    """

    name: str
    known_by: str
    sniff: Callable[[Path, bytes], float]
    read: Callable[[Reading], Iterator[Chunk]]
    processors: Callable[[Path], int | None] = lambda _: None
