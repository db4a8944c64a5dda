"""Slurm accounting: the text of ``sacct -P``, and tables whose columns are sacct's fields in any case.

Read unchanged are the export that ``rt_predictor_formats.sacct`` documents, the one that Open XDMoD documents (which
has no header line), and parquet or CSV made of either. What a request means is decided in
``rt_predictor_formats.sacct`` alone: its ``to_job`` is asked once for every distinct request of a chunk.

Choices made here. Job steps are left out. Elapsed is the run time where it is given, for it leaves out time in which
the job was suspended. Memory comes from ReqTRES, where Slurm has added it up over nodes, and only without it from
ReqMem.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import polars as pl

from rt_predictor_core.sources import values
from rt_predictor_core.sources.canonical import Draft
from rt_predictor_core.sources.contract import Chunk, Reading, Rows, Source
from rt_predictor_core.sources.lines import head_of
from rt_predictor_core.sources.tables import Header, header, rows_of
from rt_predictor_formats.errors import Problem
from rt_predictor_formats.memory import parse_memory
from rt_predictor_formats.sacct import EXPORT_COMMAND, FIELDS, XDMOD_FIELDS, parse_time, split_row, to_job
from rt_predictor_formats.times import parse_duration
from rt_predictor_formats.tres import parse_tres

_MORE_FIELDS = ("allocnodes", "alloccpus", "elapsedraw", "timelimitraw", "submitline", "workdir", "eligible")
KNOWN = frozenset((*(field.lower() for field in FIELDS), *XDMOD_FIELDS, *_MORE_FIELDS))
"""Names of sacct's fields, in lower case, by which a table is recognised."""

_ENOUGH = 3
_SURE = 0.9
_NO_TIME = ("0", "invalid", "Invalid", "INVALID")

_TEXTS = {
    "user": "user",
    "account": "account",
    "partition": "partition",
    "qos": "qos",
    "jobname": "name",
    "workdir": "work_dir",
    "submitline": "submit_line",
}
_TIMES = {"submit": "submit_time", "start": "start_time", "end": "end_time"}
_REQUEST = ("nnodes", "allocnodes", "reqcpus", "ncpus", "alloccpus", "reqmem", "reqtres", "timelimit", "state")
_ANSWER = ("wallclock_req", "nodes_req", "processors_req", "gpus_req", "mem_req")
_ANSWER_SCHEMA = {
    **dict.fromkeys(_ANSWER, pl.Float64()),
    **dict.fromkeys(("answered", "at", "rule", "value"), pl.String()),
}


def sniff(path: Path, head: bytes) -> float:
    """Return the share of the table's columns that are sacct fields; sure of XDMoD's export by its first row."""
    if _is_xdmod(head):
        return _SURE
    found = header(path, head)
    known = [name for name in found.names if name.lower() in KNOWN] if found else []
    return len(known) / len(found.names) if found and len(known) >= _ENOUGH else 0.0


def read(reading: Reading) -> Iterator[Chunk]:
    """Yield the jobs of an export or a table.

    Raises
    ------
    Problem
        COLUMN_MISSING where the fields cannot tell when or how long jobs ran; else as ``tables.rows_of``.
    """
    head = _header(reading.path)
    fields = {name.lower(): name for name in reversed(head.names) if name.lower() in KNOWN}
    _demand(fields, reading.path)
    for rows in rows_of(reading, head, list(fields.values())):
        named = rows.cells.rename({name: field for field, name in fields.items()})
        yield _chunk(Rows(named, rows.lines, rows.quote, rows.broken), reading)


def _header(path: Path) -> Header:
    head = head_of(path)
    if _is_xdmod(head):
        return Header(XDMOD_FIELDS, "|", headed=False, mend=partial(_mend, XDMOD_FIELDS))
    found = header(path, head) or Header((), "|")
    if found.delimiter != "|":
        return found
    return Header(found.names, "|", mend=partial(_mend, tuple(name.lower() for name in found.names)))


def _mend(fields: Sequence[str], line: str) -> list[str] | None:
    try:
        return list(split_row(line, fields).values())
    except Problem:
        return None


def _is_xdmod(head: bytes) -> bool:
    """Tell XDMoD's export by the number of fields of its first row and a time where it has Submit."""
    cells = head.split(b"\n", 1)[0].decode(errors="replace").split("|")
    if len(cells) < len(XDMOD_FIELDS):
        return False
    try:
        return parse_time(cells[XDMOD_FIELDS.index("submit")]) is not None
    except Problem:
        return False


def _demand(fields: Mapping[str, str], path: Path) -> None:
    missing = [] if "submit" in fields else ["Submit"]
    if not ({"start", "end"} <= set(fields) or {"elapsed", "elapsedraw"} & set(fields)):
        missing.append("Start and End, or Elapsed")
    if missing:
        thing = f"no field {' and no field '.join(missing)}; found are {', '.join(fields.values())}"
        raise Problem("COLUMN_MISSING", thing, place=str(path), remedy=f"export with: {EXPORT_COMMAND}")


def _chunk(rows: Rows, reading: Reading) -> Chunk:
    job_id = next((name for name in ("jobid", "jobidraw") if name in rows.cells.columns), None)
    if job_id:
        job = ~values.as_text(rows.cells[job_id]).str.contains(".", literal=True).fill_null(value=False)
        reading.notes.count("job steps were left out", int((~job).sum()))
        rows = rows.where(job)
    draft = Draft(rows, reading)
    if job_id:
        draft.text("job_id", rows.cells[job_id])
    for field, name in _TEXTS.items():
        if field in rows.cells.columns:
            draft.text(name, rows.cells[field])
    for field, name in _TIMES.items():
        if field in rows.cells.columns:
            cells = rows.cells[field]
            draft.time(name, cells.set(cells.is_in(_NO_TIME), None) if cells.dtype == pl.String else cells)
    _run_time(draft, rows)
    _requests(draft, rows)
    return draft.finish()


def _run_time(draft: Draft, rows: Rows) -> None:
    if "elapsedraw" in rows.cells.columns:
        draft.number("run_time", rows.cells["elapsedraw"])
    elif "elapsed" in rows.cells.columns:
        draft.parsed("run_time", rows.cells["elapsed"], _durations)


def _durations(cells: pl.Series) -> pl.Series:
    """Return elapsed times in seconds; typed numbers are seconds already."""
    if cells.dtype != pl.String:
        return values.as_number(cells)
    distinct = cells.drop_nulls().unique()
    seconds = pl.Series([_elapsed(text) for text in distinct], dtype=pl.Float64)
    return cells.replace_strict(distinct, seconds, default=None, return_dtype=pl.Float64)


def _elapsed(text: str) -> float | None:
    try:
        return float(parse_duration(text) or 0) if ":" in text else None
    except Problem:
        return None


def _requests(draft: Draft, rows: Rows) -> None:
    """Ask ``to_job`` what each distinct request means and give every row its answer."""
    columns = {field: _request_cells(rows.cells, field) for field in _REQUEST}
    asked = pl.DataFrame(columns).with_columns(pl.all().fill_null(""))
    distinct = asked.unique(maintain_order=True)
    answers = pl.DataFrame([_answer(row) for row in distinct.iter_rows(named=True)], schema=_ANSWER_SCHEMA)
    answered = asked.join(
        pl.concat([distinct, answers], how="horizontal"), on=list(_REQUEST), how="left", maintain_order="left"
    )
    for name in _ANSWER:
        draft.put(name, answered[name])
    draft.put("state", answered["answered"])
    for column, rule in answered.select("at", "rule").drop_nulls().unique(maintain_order=True).rows():
        at = ((answered["at"] == column) & (answered["rule"] == rule)).fill_null(value=False)
        draft.blame(column, at, rule, answered["value"])


def _request_cells(cells: pl.DataFrame, field: str) -> pl.Series:
    """Return a field as text; TimelimitRaw (minutes, as a bare Timelimit is) stands in for a missing Timelimit."""
    if field == "timelimit" and field not in cells.columns:
        field = "timelimitraw"
    return values.as_text(cells[field]) if field in cells.columns else pl.Series([""]).new_from_index(0, cells.height)


def _answer(row: Mapping[str, str]) -> dict[str, object]:
    try:
        job = to_job(row)
        memory = parse_tres(row["reqtres"]).get("mem")
        job["mem_req"] = parse_memory(memory) if memory else job["mem_req"]
    except Problem as problem:
        field = problem.place or "reqtres"
        return {"at": field, "rule": problem.code.lower(), "value": row.get(field)}
    answer: dict[str, object] = {name: job[name] for name in _ANSWER}
    if job["state"] is None and not values.missing(pl.Series([row["state"]]))[0]:
        return {**answer, "at": "state", "rule": "unknown_state", "value": row["state"]}
    return {**answer, "answered": job["state"]}


SOURCE = Source("sacct", "sacct -P export, or a table of sacct's fields: Submit, Start, End, Timelimit", sniff, read)
