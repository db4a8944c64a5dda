"""A log of jobs: its files read in order as canonical record batches, with what was learned on the way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa

from rt_predictor_core.schema import SCHEMA
from rt_predictor_core.sources.contract import REJECT, Chunk, Notes, Reading, Source
from rt_predictor_core.sources.rejects import Rejects
from rt_predictor_core.sources.rules import failures
from rt_predictor_formats.errors import Problem


@dataclass(frozen=True)
class File:
    """One file of a log, the source that reads it, and its size [bytes]."""

    path: Path
    source: Source
    size: int


class Log:
    """The jobs of some files, as ``pa.RecordBatch`` of ``schema.SCHEMA`` with at most ``chunk_rows`` rows each.

    Rows come in the order of the files, unsorted, in bounded memory. Each iteration starts anew; the figures below
    are those of the latest one and complete when it has ended.

    Attributes
    ----------
    format: name of the source, several joined by "+".
    bytes_total: size of all files [bytes].
    bytes_read: how much of them has been read [bytes]; never falls during an iteration.
    rows_read: rows seen, the rejected ones included.
    rows_rejected: rows left out because they break a rule.
    rejects: the rejected rows by rule; ``rejects.summary(rows_read)`` is a line for a person.
    """

    def __init__(self, files: Sequence[File], *, chunk_rows: int, timezone: str, rejects: Path | None) -> None:
        self.format = "+".join(sorted({file.source.name for file in files}))
        self.bytes_total = sum(file.size for file in files)
        self._files = tuple(files)
        self._chunk_rows = chunk_rows
        self._timezone = timezone
        self._rejects_path = rejects
        self.bytes_read = self.rows_read = 0
        self.rejects = Rejects(rejects)
        self._notes = Notes()

    @property
    def rows_rejected(self) -> int:
        """Rows left out because they break a rule."""
        return self.rejects.total

    @property
    def processors(self) -> int | None:
        """Processors of the machine by the files' own words, the greatest number of several; None if none says."""
        said = [file.source.processors(file.path) for file in self._files]
        return max((size for size in said if size is not None), default=None)

    @property
    def notes(self) -> list[str]:
        """Plain sentences about how the log was read."""
        return self._notes.sentences(self.rows_read)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Read the log from its beginning.

        Raises
        ------
        Problem
            LOG_EMPTY where there is no job in it, LOG_ALL_ROWS_REJECTED where every one breaks a rule,
            REJECTS_UNWRITABLE, and what the source of a file raises.
        """
        self._begin()
        self.rejects.open()
        complete = False
        try:
            done = 0
            for file in self._files:
                yield from self._read(file, done)
                done += file.size
                self.bytes_read = done
            complete = True
        finally:
            self.rejects.close(complete=complete)
        if self.rows_read == self.rows_rejected:
            raise self._nothing_left()

    def _begin(self) -> None:
        self.bytes_read = self.rows_read = 0
        self.rejects = Rejects(self._rejects_path)
        self._notes = Notes()

    def _read(self, file: File, done: int) -> Iterator[pa.RecordBatch]:
        def progress(position: int) -> None:
            self.bytes_read = max(self.bytes_read, done + min(position, file.size))

        for chunk in file.source.read(Reading(file.path, self._chunk_rows, self._timezone, self._notes, progress)):
            kept, rejected = _judged(chunk)
            self.rows_read += kept.height + rejected.height
            self.rejects.add(file.path, rejected)
            if kept.height:
                yield _batch(kept)

    def _nothing_left(self) -> Problem:
        place = ", ".join(str(file.path) for file in self._files)
        if not self.rows_read:
            return Problem("LOG_EMPTY", "there is no job in this log", place=place, remedy="give a log with jobs")
        thing = f"all {self.rows_read} rows are rejected, most for {self.rejects.commonest()}"
        remedy = f"check that this is the right file; {self.rejects.summary(self.rows_read).partition('; ')[2]}"
        return Problem("LOG_ALL_ROWS_REJECTED", thing, place=place, remedy=remedy)


def _judged(chunk: Chunk) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Part a chunk into the rows that keep all rules and, as ``REJECT`` in order of lines, those that do not."""
    broken = (
        pl.concat([chunk.misread, failures(chunk.frame)]).unique("row", keep="first", maintain_order=True).sort("row")
    )
    rows = broken["row"]
    rejected = broken.select(
        chunk.rows.lines.gather(rows).alias("line"),
        "column",
        "rule",
        "value",
        pl.Series("raw", chunk.rows.quote(rows.to_list()), pl.String),
    )
    keep = pl.repeat(value=True, n=chunk.frame.height, eager=True).scatter(rows, False)
    both = pl.concat([chunk.rows.broken, rejected.cast(pl.Schema(REJECT))])
    return chunk.frame.filter(keep), both.sort("line", maintain_order=True)


def _batch(frame: pl.DataFrame) -> pa.RecordBatch:
    """Return a frame as one canonical batch; times lose their fractions of a second."""
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    table = table.cast(SCHEMA, safe=False).combine_chunks()
    return table.to_batches()[0]
