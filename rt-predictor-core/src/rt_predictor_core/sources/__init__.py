"""Job logs of any known format, as canonical record batches.

A source is a module with a ``SOURCE``: a function that recognises a file and one that reads it. ``SOURCES`` is the
list of them; the one that is surest of a file reads it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from rt_predictor_core.sources import eagle, sacct, swf
from rt_predictor_core.sources.lines import head_of
from rt_predictor_core.sources.log import File, Log
from rt_predictor_formats.errors import Problem, shown

__all__ = ["SOURCES", "Log", "open_log"]

SOURCES = (eagle.SOURCE, sacct.SOURCE, swf.SOURCE)

_FIRST_BYTES = 24
_LEAST_CONFIDENCE = 0.2


def open_log(
    paths: Sequence[Path], *, chunk_rows: int = 100_000, timezone: str = "UTC", rejects: Path | None = None
) -> Log:
    """Recognise the format of each file and return the log, not yet read.

    Parameters
    ----------
    paths: files, or folders whose visible files are taken in the order of their names.
    chunk_rows: greatest number of rows in a batch.
    timezone: IANA name of the zone in which times without a zone are understood.
    rejects: where to write the rows that break a rule; by default they are only counted.

    Raises
    ------
    Problem
        LOG_MISSING, LOG_UNREADABLE, LOG_EMPTY, LOG_TRUNCATED, LOG_DAMAGED, LOG_FORMAT_UNKNOWN, TIMEZONE_UNKNOWN,
        CHUNK_ROWS_INVALID, all with the file or the setting that is at fault.
    """
    if chunk_rows < 1:
        remedy = "give a number of rows above 0"
        raise Problem("CHUNK_ROWS_INVALID", f"chunks of {chunk_rows} rows", place="chunk_rows", remedy=remedy)
    _check_timezone(timezone)
    files = [_recognised(file) for path in paths for file in files_of(Path(path))]
    return Log(files, chunk_rows=chunk_rows, timezone=timezone, rejects=rejects)


def files_of(path: Path) -> Iterator[Path]:
    """Yield a file, or the visible files of a folder in the order of their names. Raises Problem LOG_EMPTY."""
    if not path.is_dir():
        yield path
        return
    found = sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith((".", "_")))
    if not found:
        raise Problem("LOG_EMPTY", "there is no file in this folder", place=str(path), remedy="give a folder with logs")
    yield from found


def _recognised(path: Path) -> File:
    head = head_of(path)
    if not head:
        raise Problem("LOG_EMPTY", "this file is empty", place=str(path), remedy="give a log with jobs")
    confidence, source = max(((source.sniff(path, head), source) for source in SOURCES), key=lambda found: found[0])
    if confidence < _LEAST_CONFIDENCE:
        known = "; ".join(source.known_by for source in SOURCES)
        raise Problem(
            "LOG_FORMAT_UNKNOWN",
            f"this is no log of a known format, it begins with {shown(head[:_FIRST_BYTES])}",
            place=str(path),
            remedy=f"give one of: {known}",
        )
    return File(path, source, path.stat().st_size)


def _check_timezone(timezone: str) -> None:
    try:
        pl.Series([0]).cast(pl.Datetime("ms")).dt.replace_time_zone(timezone)
    except pl.exceptions.PolarsError:
        remedy = "give an IANA name such as UTC or America/Denver"
        raise Problem(
            "TIMEZONE_UNKNOWN", f"there is no time zone {shown(timezone)}", place="timezone", remedy=remedy
        ) from None
