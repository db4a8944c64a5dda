"""``rtp report``: tell the service what happened to jobs."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any, TextIO
from zoneinfo import ZoneInfo

import click

from rt_predictor_client.cli.connection import Connection
from rt_predictor_client.cli.job import Given, job_options, request_of
from rt_predictor_client.errors import Exit
from rt_predictor_formats.errors import Problem, shown
from rt_predictor_formats.sacct import EXPORT_COMMAND, XDMOD_FIELDS, is_step, parse_header, split_row, to_job

SHOWN_REJECTIONS = 20
"""Rejected events that are listed one by one; --json lists all that the service named."""


@dataclass
class Events:
    """Events on their way to the service: ``lines`` are their lines in the file, ``bad`` the lines that are none."""

    events: list[dict[str, Any]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    bad: list[tuple[int, Problem]] = field(default_factory=list)
    skipped: int = 0


@click.command()
@click.argument("source", required=False, metavar="[FILE]")
@click.option("--job-id", help="Job id.")
@click.option("--submit", help="When it was submitted: seconds since 1970 or ISO.")
@click.option("--start", help="When it started; leave out while it waits, and of a job that never ran.")
@click.option("--end", help="When it ended; leave out while it waits or runs.")
@click.option("--state", help="How it ended, such as COMPLETED.")
@job_options
@click.option("--timezone", default="UTC", help="Of times without a zone in FILE, such as Europe/Berlin [UTC].")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
@click.pass_context
def report(context: click.Context, /, source: str | None, **given: str | int | bool | None) -> None:
    """Report jobs that wait, have started, have ended, or left the queue without running.

    FILE (- for stdin) is what sacct -P prints, with its header line or in the order of Open XDMoD. Without it, the
    options describe one job.
    """
    as_json, timezone = bool(given.pop("as_json")), str(given.pop("timezone"))
    if source is not None and any(given.values()):
        raise click.UsageError("give FILE or a job's options, not both.", context)
    if source is None and not given["job_id"]:
        raise click.UsageError("give FILE or --job-id with --submit.", context)
    events = read_events(source, _zone(timezone)) if source is not None else Events([_one(context, given)])
    _send(context, events, as_json=as_json)


def _send(context: click.Context, events: Events, *, as_json: bool) -> None:
    from rt_predictor_client import output
    from rt_predictor_client.requests import ReportResult, problem_error

    connection: Connection = context.obj
    with connection.client(len(events.events)) as client:
        result = client.report(events.events)
    # lines that are no events come behind those that the service saw
    unread = [problem_error(problem, len(events.lines) + i) for i, (_, problem) in enumerate(events.bad)]
    lines = [*events.lines, *(line for line, _ in events.bad)]
    result = ReportResult(
        result.accepted, result.duplicates, result.rejected_total + len(unread), (*result.rejected, *unread)
    )
    if as_json:
        output.print_json(output.report_document(result, events.skipped, lines))
    else:
        _print(result, events.skipped, lines)
    if result.rejected_total:
        context.exit(Exit.PARTIAL)


def _print(result: Any, skipped: int, lines: list[int]) -> None:
    from rt_predictor_client import output

    click.echo(f"accepted {result.accepted}, duplicates {result.duplicates}, rejected {result.rejected_total}")
    if skipped:
        click.echo(f"passed over {skipped}: steps, and rows that tell of no event")
    for error in result.rejected[:SHOWN_REJECTIONS]:
        place = f"line {lines[error.position]}: " if error.position < len(lines) else ""
        click.echo(f"rejected: {place}{output.printable(' '.join(str(error).split()))}", err=True)
    more = result.rejected_total - SHOWN_REJECTIONS
    if more > 0:
        click.echo(f"rejected: {more} more", err=True)


def _one(context: click.Context, given: Given) -> dict[str, Any]:
    """Return the event that the options describe."""
    happened = {name: given.pop(name) for name in ("job_id", "submit", "start", "end", "state")}
    if not happened["submit"]:
        raise click.UsageError("--job-id needs --submit.", context)
    # sbatch's variables are of the next job, not of one that was submitted
    request = request_of(None, given, {})
    return {
        **asdict(request),
        "job_id": happened["job_id"],
        "submit_time": happened["submit"],
        "start_time": happened["start"],
        "end_time": happened["end"],
        "state": happened["state"],
    }


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC  # needs no files of the system
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        remedy = "give a name such as UTC or Europe/Berlin"
        thing = f"{shown(name)} is no time zone of this system"
        raise Problem("TIMEZONE_INVALID", thing, place="--timezone", remedy=remedy) from None


def read_events(source: str, zone: tzinfo) -> Events:
    """Return the events in the text of sacct; raises Problem LOG_UNREADABLE, LOG_EMPTY or LOG_FORMAT."""
    found = Events()
    with _opened(source) as file:
        first = file.readline()
        fields = parse_header(first)
        if fields is None:
            _check_xdmod(first, source)
            _read_line(first, 1, XDMOD_FIELDS, zone, found)
        for number, line in enumerate(file, 2):
            if line.strip():
                _read_line(line, number, fields or XDMOD_FIELDS, zone, found)
    if not found.events and not found.bad and not found.skipped:
        raise Problem("LOG_EMPTY", "no jobs", place=source, remedy="choose an earlier --starttime for sacct")
    return found


@contextmanager
def _opened(source: str) -> Iterator[TextIO]:
    try:
        if source == "-":
            yield sys.stdin
        else:
            with Path(source).open(encoding="utf-8", errors="replace") as file:
                yield file
    except OSError as error:
        reason = error.strerror or str(error)
        raise Problem("LOG_UNREADABLE", reason, place=source, remedy="give a readable file") from None
    except UnicodeDecodeError as error:
        raise Problem("LOG_FORMAT", str(error), place=source, remedy="give the text of sacct -P in UTF-8") from None


def _check_xdmod(first: str, source: str) -> None:
    if not first.strip():
        raise Problem("LOG_EMPTY", "the file is empty", place=source, remedy=f"write it by {EXPORT_COMMAND}")
    if first.count("|") + 1 < len(XDMOD_FIELDS):
        thing = "neither a header line of sacct nor a row in the order of Open XDMoD"
        raise Problem("LOG_FORMAT", thing, place=f"{source}:1", remedy=f"write it by {EXPORT_COMMAND}")


def _read_line(line: str, number: int, fields: tuple[str, ...], zone: tzinfo, found: Events) -> None:
    try:
        row = split_row(line, fields)
        job = to_job(row, zone)
    except Problem as problem:
        found.bad.append((number, problem))
        return
    if _passed_over(job):
        found.skipped += 1
        return
    found.events.append({**job, "cluster": row.get("cluster") or None})
    found.lines.append(number)


def _passed_over(job: Mapping[str, Any]) -> bool:
    """Return whether a row tells of no event: a step, a state without times, or tasks of an array that share a row.

    Such tasks start under ids of their own, so that their start would not be recognised.
    """
    untold = job["start_time"] is None and job["end_time"] is None and job["state"] != "PENDING"
    return untold or is_step(job["job_id"]) or "[" in job["job_id"]
