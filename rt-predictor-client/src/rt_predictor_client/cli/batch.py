"""``rtp batch``: a CSV of jobs in, the same CSV with forecasts out."""

from __future__ import annotations

import csv
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from rt_predictor_client.cli.connection import Connection, checked_risk
from rt_predictor_client.cli.ending import unfinished
from rt_predictor_client.columns import meanings
from rt_predictor_client.errors import Exit
from rt_predictor_client.rows import (
    RESULT_COLUMNS,
    Jobs,
    Row,
    count_rows,
    open_table,
    result_cells,
    result_values,
)
from rt_predictor_formats.errors import Problem

if TYPE_CHECKING:
    from rt_predictor_client.requests import Forecast, RowError


@click.command()
@click.argument("source", metavar="IN.CSV")
@click.option("-o", "--output", "target", required=True, metavar="OUT.CSV", help="Where to write; replaced if there.")
@click.option("--risk", type=float, help="Accepted chance that a job is killed at the recommended time.")
@click.pass_context
def batch(context: click.Context, source: str, target: str, risk: float | None) -> None:
    """Forecast every row of a CSV file.

    Columns are user, wallclock_req [s] (or time, in Slurm's forms), nodes_req, processors_req, gpus_req, mem_req [MB],
    partition, qos, account, name, work_dir, submit_time (seconds since 1970 or ISO), job_id; others are kept as they
    are. Names of sacct (Timelimit, NNodes, ReqCPUS, ReqMem, ReqTRES, JobName ...) and of SWF (Requested Time, User ID
    ...) are understood too.
    """
    checked_risk(risk)
    rows = count(source)
    connection: Connection = context.obj
    with connection.client(rows) as client, open_rows(source) as (header, reader), replacing(Path(target)) as file:
        jobs = Jobs(reader, meanings(header, source))
        kept = [name for name in header if name not in RESULT_COLUMNS]
        writer = csv.DictWriter(file, [*kept, *RESULT_COLUMNS], extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        failed = _write(jobs, client.predict_many(jobs, risk), writer, rows)
    if failed:
        click.echo(f"{failed} of {rows} rows were not accepted; the column error of {target} says why", err=True)
        context.exit(Exit.PARTIAL)


def _write(jobs: Jobs, results: Iterator[Forecast | RowError], writer: csv.DictWriter[str], rows: int) -> int:
    """Write every row with its result, in order; returns how many have an error."""
    from rt_predictor_client import output
    from rt_predictor_client.requests import RowError

    failed = 0
    with output.progress(rows) as advance:
        for row, result in jobs.paired(results):
            failed += isinstance(result, RowError | Problem)
            writer.writerow({**row, **result_cells(result_values(result))})
            advance()
    return failed


def count(source: str) -> int:
    """Return how many rows a CSV file has; raises Problem CSV_EMPTY if none, CSV_INVALID if it cannot be read."""
    with open_rows(source) as (_, rows):
        return count_rows(rows, source)


@contextmanager
def open_rows(source: str) -> Iterator[tuple[list[str], Iterator[Row | Problem]]]:
    """Open a CSV file; yields its header, and its rows or what is wrong with one. Raises Problem as ``count``."""
    try:
        with Path(source).open(encoding="utf-8-sig", newline="") as file:
            yield open_table(file, source)
    except OSError as error:
        if error.filename != source:
            raise
        reason = error.strerror or str(error)
        raise Problem("CSV_UNREADABLE", reason, place=source, remedy="give a readable CSV file") from None


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
        unfinished.add(part)
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
            unfinished.discard(part)


def _mode() -> int:
    """Return the mode of a new file: a temporary one is closed to everybody else."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
