"""What the columns of a file of jobs mean, and a row by that.

Columns are found by name: canonical ones, those of ``sacct`` and those of the Standard Workload Format
(https://www.cs.huji.ac.il/labs/parallel/workload/swf.html).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from rt_predictor_formats import sacct
from rt_predictor_formats.errors import Problem
from rt_predictor_formats.times import parse_duration

TIME: Final = "time"
"""Meaning of a requested time in one of Slurm's forms; ``wallclock_req`` is one in seconds."""

SACCT_FIELDS: Final = ("nnodes", "reqcpus", "reqmem", "reqtres", "submit")
"""Meanings that are written as ``sacct`` writes them, by its names in lower case."""

SWF_MEMORY: Final = "swf_memory"
"""Meaning of a requested memory in KB per processor, as the Standard Workload Format has it."""

SWF_QUEUE: Final = "swf_queue"
"""Meaning of a queue of SWF: the partition where a job has none, else its quality of service."""

Meanings: TypeAlias = Mapping[str, str]
"""The column of a file by what it means."""

_ALIASES: Final[Meanings] = {
    "timelimit": TIME,
    "nnodes": "nnodes",
    "allocnodes": "nnodes",
    "reqcpus": "reqcpus",
    "ncpus": "reqcpus",
    "alloccpus": "reqcpus",
    "reqmem": "reqmem",
    "reqtres": "reqtres",
    "submit": "submit",
    "jobname": "name",
    "jobid": "job_id",
    "jobidraw": "job_id",
    "workdir": "work_dir",
    "submitline": "submit_line",
}
_SWF: Final[Mapping[str, tuple[str, str]]] = {
    "jobnumber": ("job_id", ""),
    "userid": ("user", "user"),
    "groupid": ("account", "group"),
    "executablenumber": ("name", "exe"),
    "executableapplicationnumber": ("name", "exe"),
    "queuenumber": (SWF_QUEUE, "queue"),
    "partitionnumber": ("partition", "partition"),
    "requestedtime": ("wallclock_req", ""),
    "requestednumberofprocessors": ("processors_req", ""),
    "requestedmemory": (SWF_MEMORY, ""),
}
"""Fields of SWF: what each means, and the word before its numbers, as models know them that were trained on SWF."""


def known_meanings() -> tuple[str, ...]:
    """Return all that a column may mean."""
    from rt_predictor_client.requests import JOB_COLUMNS

    return (*JOB_COLUMNS, TIME, *SACCT_FIELDS, SWF_MEMORY, SWF_QUEUE)


def meanings(header: Sequence[str], source: str) -> dict[str, str]:
    """Return the column of each meaning that a header has; of two for one meaning the more exact name, or the first.

    Raises Problem COLUMN_MISSING or COLUMN_DOUBLE.
    """
    from rt_predictor_client.requests import JOB_COLUMNS

    for name in header:
        if name and list(header).count(name) > 1:
            raise Problem("COLUMN_DOUBLE", f"two columns {name!r}", place=source, remedy="leave one of them out")
    known = (*JOB_COLUMNS, TIME)
    found = {name: name for name in header if name in known}
    lower = {name: name.lower() for name in header}
    for read in (lambda name: lower[name] if lower[name] in known else None, _alias):
        for name in header:
            meaning = read(name)
            if meaning is not None and name not in found.values():
                found.setdefault(meaning, name)
    return checked(found, source)


def checked(chosen: Meanings, source: str) -> dict[str, str]:
    """Return meanings if a job can be read by them; raises Problem COLUMN_MISSING otherwise."""
    if not chosen:
        from rt_predictor_client.requests import JOB_COLUMNS

        remedy = f"name columns {', '.join((*JOB_COLUMNS, TIME))}, or as sacct or SWF do"
        raise Problem("COLUMN_MISSING", "no usable column", place=source, remedy=remedy)
    return dict(chosen)


def to_job(row: Mapping[str, str], by: Meanings) -> dict[str, Any]:
    """Return a row as a job; empty cells are unknown, and so is -1 in a column with a name of SWF.

    Raises Problem whose place is the column.
    """
    cells = {meaning: _cell(row, column) for meaning, column in by.items()}
    job: dict[str, Any] = {name: text for name, text in cells.items() if text}
    text = job.pop(TIME, None)
    if text is not None and "wallclock_req" not in job:
        job["wallclock_req"] = _duration(text, by[TIME])
    memory, queue = job.pop(SWF_MEMORY, None), job.pop(SWF_QUEUE, None)
    written: dict[str, str] = {name: job.pop(name) for name in SACCT_FIELDS if name in job}
    if written:
        job = {**_from_sacct(written, job, by), **job}
    if memory is not None and "mem_req" not in job:
        job["mem_req"] = _swf_memory(memory, job.get("processors_req"), by[SWF_MEMORY])
    if queue is not None:
        job.setdefault("qos" if "partition" in job else "partition", queue)
    return job


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _alias(name: str) -> str | None:
    plain = _plain(name)
    return _ALIASES.get(plain) or _SWF.get(plain, (None, ""))[0]


def _cell(row: Mapping[str, str], column: str) -> str:
    text = row[column].strip()
    if (field := _SWF.get(_plain(column))) is None:
        return text
    return "" if text in {"-1", "-1.0"} else f"{field[1] if text.isdecimal() else ''}{text}"


def _duration(text: str, column: str) -> int | None:
    try:
        return parse_duration(text)
    except Problem as problem:
        raise Problem(problem.code, problem.thing, place=column, remedy=problem.remedy) from None


def _from_sacct(written: Mapping[str, str], job: Mapping[str, Any], by: Meanings) -> dict[str, Any]:
    """Read fields of sacct; memory per node or processor is counted by what else is known of the job."""
    counts = {"nnodes": job.get("nodes_req", ""), "reqcpus": job.get("processors_req", "")}
    try:
        read = sacct.to_job({**counts, **written})
    except Problem as problem:
        place = by.get(problem.place, problem.place)
        raise Problem(problem.code, problem.thing, place=place, remedy=problem.remedy) from None
    names = ("nodes_req", "processors_req", "gpus_req", "mem_req", "submit_time")
    return {name: read[name] for name in names if read[name] is not None}


def _swf_memory(text: str, processors: Any, column: str) -> float:
    try:
        return float(text) * float(processors or 1) / 1024
    except ValueError:
        thing = f"{text[:80]!r} is no number of KB"
        raise Problem("MEMORY_INVALID", thing, place=column, remedy="write KB per processor") from None
