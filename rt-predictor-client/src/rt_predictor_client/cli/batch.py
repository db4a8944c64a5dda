"""``rtp batch``: a CSV of jobs in, the same CSV with forecasts out."""

from __future__ import annotations

import csv
import os
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from rt_predictor_client.cli.connection import Connection, checked_risk
from rt_predictor_client.errors import Exit
from rt_predictor_formats.errors import Problem
from rt_predictor_formats.times import format_duration, parse_duration

if TYPE_CHECKING:
    from rt_predictor_client.requests import Forecast, RowError

RESULT_COLUMNS = (
    "median_seconds",
    "most_likely_seconds",
    "lower_seconds",
    "upper_seconds",
    "recommended_time",
    "recommended_seconds",
    "probability_exceeds_request",
    "tier",
    "history_jobs",
    "degraded",
    "model_version",
    "error",
)
"""What is written behind the input's own columns; an input column of the same name is replaced."""

WIDEST_FIELD = 1024 * 1024
"""Longest field of a CSV file that is read [characters]."""

_Row = dict[str, str]


@click.command()
@click.argument("source", metavar="IN.CSV")
@click.option("-o", "--output", "target", required=True, metavar="OUT.CSV", help="Where to write; replaced if there.")
@click.option("--risk", type=float, help="Accepted chance that a job is killed at the recommended time.")
@click.pass_context
def batch(context: click.Context, source: str, target: str, risk: float | None) -> None:
    """Forecast every row of a CSV file.

    Columns are user, wallclock_req [s] (or time, in Slurm's forms), nodes_req, processors_req, gpus_req, mem_req [MB],
    partition, qos, account, name, work_dir, submit_time (seconds since 1970 or ISO), job_id; others are kept as they
    are.
    """
    checked_risk(risk)
    rows = count_rows(source)
    connection: Connection = context.obj
    with connection.client(rows) as client, open_rows(source) as (header, reader), replacing(Path(target)) as file:
        jobs = _Jobs(reader, usable_columns(header, source))
        kept = [name for name in header if name not in RESULT_COLUMNS]
        writer = csv.DictWriter(file, [*kept, *RESULT_COLUMNS], extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        failed = _write(jobs, client.predict_many(jobs, risk), writer, rows)
    if failed:
        click.echo(f"{failed} of {rows} rows were not accepted; the column error of {target} says why", err=True)
        context.exit(Exit.PARTIAL)


def _write(jobs: _Jobs, results: Iterator[Forecast | RowError], writer: csv.DictWriter[str], rows: int) -> int:
    """Write every row with its result, in order; returns how many have an error."""
    from rt_predictor_client import output
    from rt_predictor_client.requests import RowError

    failed = 0
    with output.progress(rows) as advance:
        for row, result in jobs.paired(results):
            failed += isinstance(result, RowError | Problem)
            writer.writerow({**row, **_cells(result)})
            advance()
    return failed


class _Jobs:
    """Rows as jobs on their way to the service, and the rows themselves until their answers come."""

    def __init__(self, reader: Iterator[_Row | Problem], columns: tuple[str, ...]) -> None:
        self._reader = reader
        self._columns = columns
        self._waiting: deque[tuple[_Row, Problem | None]] = deque()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for row in self._reader:
            if isinstance(row, Problem):
                self._waiting.append(({}, row))
                continue
            try:
                job = to_job(row, self._columns)
            except Problem as problem:
                self._waiting.append((row, problem))
            else:
                self._waiting.append((row, None))
                yield job

    def paired(self, results: Iterator[Forecast | RowError]) -> Iterator[tuple[_Row, Forecast | RowError | Problem]]:
        for result in results:
            yield from self._unsent()
            row, _ = self._waiting.popleft()
            yield row, result
        yield from self._unsent()

    def _unsent(self) -> Iterator[tuple[_Row, Problem]]:
        while self._waiting and self._waiting[0][1] is not None:
            row, problem = self._waiting.popleft()
            if problem is not None:
                yield row, problem


def to_job(row: Mapping[str, str], columns: tuple[str, ...]) -> dict[str, Any]:
    """Return a row as a job; empty cells are unknown. Raises Problem for a bad ``time``."""
    job: dict[str, Any] = {name: row[name].strip() for name in columns if row[name].strip()}
    text = job.pop("time", None)
    if text is not None and "wallclock_req" not in job:
        try:
            job["wallclock_req"] = parse_duration(text)
        except Problem as problem:
            raise Problem(problem.code, problem.thing, place="time", remedy=problem.remedy) from None
    return job


def _cells(result: Forecast | RowError | Problem) -> dict[str, object]:
    from rt_predictor_client.requests import Forecast

    if not isinstance(result, Forecast):
        return {**dict.fromkeys(RESULT_COLUMNS, ""), "error": str(result)}
    chance = result.probability_exceeds_request
    return {
        "median_seconds": f"{result.median_seconds:.1f}",
        "most_likely_seconds": f"{result.most_likely_seconds:.1f}",
        "lower_seconds": f"{result.lower_seconds:.1f}",
        "upper_seconds": f"{result.upper_seconds:.1f}",
        "recommended_time": format_duration(result.recommended_seconds),
        "recommended_seconds": result.recommended_seconds,
        "probability_exceeds_request": "" if chance is None else f"{chance:.4f}",
        "tier": result.tier,
        "history_jobs": result.history_jobs,
        "degraded": result.degraded or "",
        "model_version": result.model_version,
        "error": "",
    }


def usable_columns(header: list[str], source: str) -> tuple[str, ...]:
    """Return the columns that say something of a job; raises Problem COLUMN_MISSING or COLUMN_DOUBLE."""
    from rt_predictor_client.requests import JOB_COLUMNS

    known = (*JOB_COLUMNS, "time")
    usable = tuple(name for name in header if name in known)
    if not usable:
        raise Problem("COLUMN_MISSING", "no usable column", place=source, remedy=f"name columns {', '.join(known)}")
    for name in header:
        if header.count(name) > 1:
            raise Problem("COLUMN_DOUBLE", f"two columns {name!r}", place=source, remedy="leave one of them out")
    return usable


def count_rows(source: str) -> int:
    """Return how many rows a CSV file has; raises Problem CSV_EMPTY if none, CSV_INVALID if it cannot be read."""
    with open_rows(source) as (_, rows):
        count = sum(1 for _ in rows)
    if not count:
        raise Problem("CSV_EMPTY", "no rows", place=source, remedy="give a header line and a line for each job")
    return count


@contextmanager
def open_rows(source: str) -> Iterator[tuple[list[str], Iterator[_Row | Problem]]]:
    """Open a CSV file; yields its header, and its rows or what is wrong with one. Raises Problem as ``count_rows``."""
    csv.field_size_limit(WIDEST_FIELD)
    try:
        with Path(source).open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in _guarded(source, reader, []) or []]
            if not any(header):
                remedy = "give a header line and a line for each job"
                raise Problem("CSV_EMPTY", "the file is empty", place=source, remedy=remedy)
            yield header, _rows(source, reader, header)
    except OSError as error:
        if error.filename != source:
            raise
        reason = error.strerror or str(error)
        raise Problem("CSV_UNREADABLE", reason, place=source, remedy="give a readable CSV file") from None


def _rows(source: str, reader: Iterator[list[str]], header: list[str]) -> Iterator[_Row | Problem]:
    while (cells := _guarded(source, reader, None)) is not None:
        if not cells:
            continue  # a blank line
        if len(cells) == len(header):
            yield dict(zip(header, cells, strict=True))
        else:
            yield Problem("CSV_ROW", f"{len(cells)} fields, {len(header)} expected", remedy="correct the row")


def _guarded(source: str, reader: Iterator[list[str]], end: list[str] | None) -> list[str] | None:
    try:
        return next(reader, end)
    except (csv.Error, UnicodeDecodeError) as error:
        line = getattr(reader, "line_num", 0) + 1
        place = f"{source}:{line}"
        raise Problem("CSV_INVALID", str(error), place=place, remedy="give a CSV file in UTF-8") from None


@contextmanager
def replacing(target: Path) -> Iterator[TextIO]:
    """Yield a file that takes the place of ``target`` at the end; nothing is left of it after an error.

    ``-`` is stdout. Raises Problem OUTPUT_UNWRITABLE.
    """
    if str(target) == "-":
        yield sys.stdout
        return
    part: Path | None = None
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
        part = Path(name)
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.chmod(_mode())
        part.replace(target)
    except OSError as error:
        reason = error.strerror or str(error)
        raise Problem(
            "OUTPUT_UNWRITABLE", reason, place=str(target), remedy="give a writable place with room"
        ) from error
    finally:
        if part is not None:
            with suppress(OSError):
                part.unlink()


def _mode() -> int:
    """Return the mode of a new file: a temporary one is closed to everybody else."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
