"""The text that ``sacct --parsable2`` prints, and what its fields mean as columns of the canonical job."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import TypeVar

from rt_predictor_formats.errors import Problem, shown
from rt_predictor_formats.memory import parse_reqmem
from rt_predictor_formats.times import parse_duration
from rt_predictor_formats.tres import gpus_of, parse_tres

T = TypeVar("T")

FIELDS = (
    "JobID",
    "Cluster",
    "Partition",
    "QOS",
    "Account",
    "User",
    "Submit",
    "Start",
    "End",
    "State",
    "NNodes",
    "ReqCPUS",
    "ReqMem",
    "ReqTRES",
    "Timelimit",
    "WorkDir",
    "JobName",
)
"""What we ask sacct for; the job's name comes last, because it may hold the bar that separates the fields."""

EXPORT_COMMAND = (
    "TZ=UTC SLURM_TIME_FORMAT=%s sacct --allusers --parsable2 --allocations --duplicates "
    f"--starttime 2024-01-01 --format {','.join(FIELDS)}"
)
"""The export that this project documents: UTC because of daylight saving, duplicates because of requeues."""

XDMOD_FIELDS = (
    *("jobid", "jobidraw", "cluster", "partition", "qos", "account", "group", "gid", "user", "uid"),
    *("submit", "eligible", "start", "end", "elapsed", "exitcode", "state"),
    *("nnodes", "ncpus", "reqcpus", "reqmem", "reqtres", "alloctres", "timelimit", "nodelist", "jobname"),
)
"""Fields of the export that Open XDMoD documents, which has no header line."""

_STATES = {
    "BOOT_FAIL": "NODE_FAIL",
    "CANCELLED": "CANCELLED",
    "COMPLETED": "COMPLETED",
    "DEADLINE": "TIMEOUT",
    "FAILED": "FAILED",
    "NODE_FAIL": "NODE_FAIL",
    "OUT_OF_MEMORY": "OUT_OF_MEMORY",
    "PENDING": "PENDING",
    "PREEMPTED": "PREEMPTED",
    "REQUEUED": "PREEMPTED",
    "RESIZING": "RUNNING",
    "REVOKED": "CANCELLED",
    "RUNNING": "RUNNING",
    "SUSPENDED": "RUNNING",
    "TIMEOUT": "TIMEOUT",
}
_NO_TIME = frozenset({"", "0", "unknown", "none", "n/a", "invalid"})
_EPOCH = re.compile(r"\d{1,12}", re.ASCII)
_COUNT = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)([KM]?)", re.ASCII)
_THOUSANDS = {"": 1, "K": 1024, "M": 1024**2}


def parse_header(line: str) -> tuple[str, ...] | None:
    """Return the field names of a header line in lower case; None if the line is no header."""
    names = tuple(name.strip().lower() for name in line.lstrip("\ufeff").rstrip("\r\n").rstrip("|").split("|"))
    return names if "submit" in names and ("jobid" in names or "jobidraw" in names) else None


def split_row(line: str, fields: Sequence[str]) -> dict[str, str]:
    """Return a row by field name. Bars beyond the last field belong to it if it is the job's name.

    One bar too many at the end of the row is taken for that of ``--parsable`` (``-p``), which ends every row with one.

    Raises Problem SACCT_ROW if the row has too few or too many fields.
    """
    text = line.rstrip("\r\n")
    cells = text.split("|")
    if len(cells) == len(fields) + 1 and not cells[-1]:
        cells.pop()
    if len(cells) > len(fields) and fields[-1] == "jobname":
        cells = text.split("|", len(fields) - 1)
    if len(cells) != len(fields):
        remedy = "export with --parsable2 and JobName as the last field"
        raise Problem("SACCT_ROW", f"{len(cells)} fields, {len(fields)} expected", remedy=remedy)
    return dict(zip(fields, cells, strict=True))


def is_step(job_id: str) -> bool:
    """Return whether an id names a job step, such as ``123.batch``."""
    return "." in job_id


def parse_state(text: str) -> str | None:
    """Return the canonical state; None for one that is not known. ``CANCELLED by 1234`` is CANCELLED."""
    word = text.strip().split(" ")[0].rstrip("+").upper()
    return _STATES.get(word)


def parse_time(text: str, zone: tzinfo = UTC) -> int | None:
    """Return seconds since 1970; None if unknown. Takes epoch seconds and ISO times, read in ``zone`` by default.

    Raises Problem TIME_INVALID.
    """
    cleaned = text.strip()
    if cleaned.lower() in _NO_TIME:
        return None
    if _EPOCH.fullmatch(cleaned):
        return int(cleaned)
    try:
        moment = datetime.fromisoformat(cleaned)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp())
    except (ValueError, OverflowError):
        remedy = "write seconds since 1970 or YYYY-MM-DDTHH:MM:SS"
        raise Problem("TIME_INVALID", f"{shown(text)} is no time", remedy=remedy) from None


def to_job(row: Mapping[str, str], zone: tzinfo = UTC) -> dict[str, str | float | int | None]:
    """Return a row of sacct as columns of the canonical job: seconds, counts, MB; None where unknown.

    Raises Problem with the field's name as its place.
    """
    nodes, processors = _count(row, "nnodes", "allocnodes"), _count(row, "reqcpus", "ncpus", "alloccpus")
    resources = parse_tres(row.get("reqtres", ""))
    start, end = _field(row, "start", zone), _field(row, "end", zone)
    return {
        "job_id": row.get("jobid") or row.get("jobidraw") or "",
        "user": row.get("user") or None,
        "account": row.get("account") or None,
        "partition": row.get("partition") or None,
        "qos": row.get("qos") or None,
        "wallclock_req": _guarded("timelimit", lambda: parse_duration(row.get("timelimit", ""))),
        "nodes_req": nodes or None,
        "processors_req": processors or None,
        "gpus_req": gpus_of(resources) if resources else None,
        "mem_req": _guarded("reqmem", lambda: _memory(row.get("reqmem", ""), nodes, processors)),
        "submit_time": _field(row, "submit", zone),
        "start_time": start,
        "end_time": end,
        "run_time": float(end - start) if start is not None and end is not None else None,
        "state": parse_state(row.get("state", "")),
        "name": row.get("jobname") or None,
        "work_dir": row.get("workdir") or None,
        "submit_line": row.get("submitline") or None,
    }


def _field(row: Mapping[str, str], name: str, zone: tzinfo) -> int | None:
    return _guarded(name, lambda: parse_time(row.get(name, ""), zone))


def _guarded(name: str, read: Callable[[], T]) -> T:
    try:
        return read()
    except Problem as problem:
        raise Problem(problem.code, problem.thing, place=name, remedy=problem.remedy) from None


def _count(row: Mapping[str, str], *names: str) -> float | None:
    """Read the first of the fields that is filled. sacct writes 2048 as ``2K`` unless told not to."""
    for name in names:
        text = row.get(name, "").strip()
        if text:
            match = _COUNT.fullmatch(text)
            if match is None:
                raise Problem("COUNT_INVALID", f"{shown(text)} is no count", place=name, remedy="write a whole number")
            return float(match[1]) * _THOUSANDS[match[2]]
    return None


def _memory(text: str, nodes: float | None, processors: float | None) -> float | None:
    """Read ReqMem; ``0n``, ``0`` and their like say that none was given."""
    return (parse_reqmem(text).total(nodes, processors) or None) if text.strip() else None
