"""Rows that break a rule: counted by rule, the first ones remembered, all of them written to a file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import IO

import polars as pl

from rt_predictor_formats.errors import Problem, shown

RAW_SHOWN = 500
"""Longest quotation of a rejected row in the rejects file [characters]."""

FIRST = 3
"""How many rejected rows the summary quotes."""


class Rejects:
    """The rows that were left out of a log, one entry per row: the first rule that it breaks.

    The file is CSV with the columns file, line, column, rule, value and raw. It is written under a temporary name and
    takes its own when the log has been read to its end, also where nothing was rejected: an older file never passes
    for a new one.

    Attributes
    ----------
    counts: number of rows by (column, rule).
    total: number of rows.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.total = 0
        self._first: list[str] = []
        self._path = path
        self._part = path.with_name(f".{path.name}.part") if path else None
        self._file: IO[bytes] | None = None

    def open(self) -> None:
        """Begin the file, if there is to be one.

        Raises
        ------
        Problem
            REJECTS_UNWRITABLE where the file cannot be written.
        """
        if self._part:
            try:
                self._file = self._part.open("wb")
                self._file.write(b"file,line,column,rule,value,raw\n")
            except OSError as error:
                raise self._unwritable(error) from None

    def add(self, path: Path, rows: pl.DataFrame) -> None:
        """Count and write rows of one file, a frame of ``contract.REJECT`` in the order of lines."""
        if not rows.height:
            return
        self.total += rows.height
        for column, rule, count in rows.group_by("column", "rule").len().rows():
            self.counts[column, rule] += count
        for line, column, rule, value in rows.head(FIRST - len(self._first)).select(pl.exclude("raw")).rows():
            self._first.append(f"{path.name}:{line} {column} {rule} {shown(value)}".replace("  ", " "))
        if self._file:
            table = rows.select(
                pl.lit(str(path)).alias("file"), pl.exclude("raw"), pl.col("raw").str.slice(0, RAW_SHOWN)
            )
            try:
                table.write_csv(self._file, include_header=False)
            except OSError as error:
                raise self._unwritable(error) from None

    def close(self, *, complete: bool) -> None:
        """End the file: give it its name if ``complete``, remove it if not."""
        if not (self._file and self._part and self._path):
            return
        file, self._file = self._file, None
        try:
            file.close()
            if complete:
                self._part.replace(self._path)
        except OSError as error:
            raise self._unwritable(error) from None
        finally:
            self._part.unlink(missing_ok=True)

    def commonest(self) -> str:
        """Return the rule that most rows break, with its column and count; empty if no row was rejected."""
        if not self.counts:
            return ""
        (column, rule), count = min(self.counts.items(), key=lambda item: (-item[1], item[0]))
        return f"{column} {rule}".strip() + f" ({count})"

    def summary(self, rows: int) -> str:
        """Return one line for a person: how many of ``rows`` were rejected, why, and the first few; empty if none."""
        if not self.total:
            return ""
        ranked = sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))
        reasons = ", ".join(f"{column} {rule}".strip() + f" {count}" for (column, rule), count in ranked)
        return f"{self.total} of {rows} rows rejected ({reasons}); first: {'; '.join(self._first)}"

    def _unwritable(self, error: OSError) -> Problem:
        thing = f"the rejected rows cannot be written: {error.strerror}"
        remedy = "name a file in a writable folder with free space"
        return Problem("REJECTS_UNWRITABLE", thing, place=str(self._path), remedy=remedy)
