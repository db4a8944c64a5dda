"""Standard Workload Format of the Parallel Workloads Archive, plain or .gz.

Source: https://www.cs.huji.ac.il/labs/parallel/workload/swf.html. Eighteen columns parted by blanks, ``;`` begins a
comment, -1 means unknown. Times count from the header's UnixStartTime.

Choices made here. A job with unknown wait started when it was submitted. Requested processors fall back to the
allocated ones. Requested memory is given in KB per processor and becomes MB over all of them. The queue is the
partition where the log names no partition, else the quality of service. Status 2 to 4 (partial executions) tell no
state. A job with a run time of -1 or 0 never ran: it is kept, for whoever reads the log decides what that means.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from rt_predictor_core.sources.canonical import Draft
from rt_predictor_core.sources.contract import REJECT, Chunk, Notes, Reading, Rows, Source
from rt_predictor_core.sources.lines import Lines, line_blocks
from rt_predictor_core.sources.values import UTC_TIME

FIELDS = (
    "job",
    "submit",
    "wait",
    "run",
    "processors",
    "cpu",
    "memory",
    "processors_req",
    "wallclock_req",
    "memory_req",
    "status",
    "user",
    "group",
    "executable",
    "queue",
    "partition",
    "previous",
    "think",
)
"""The columns, in order."""

STATES = {1: "COMPLETED", 0: "FAILED", 5: "CANCELLED"}

_START = re.compile(r"^;\s*UnixStartTime:\s*(\d{1,10})\b", re.MULTILINE)
_SIZES = [re.compile(rf"^;\s*{name}:\s*([1-9]\d{{0,8}})\b", re.MULTILINE) for name in ("MaxProcs", "MaxNodes")]
_SURE, _COMMENTED, _NAMED = 0.9, 0.6, 0.3


def sniff(path: Path, head: bytes) -> float:
    """Return how much a file looks like SWF: by its first job, else by its comments, else by its name."""
    lines = head.decode(errors="replace").splitlines()
    jobs = [line.split() for line in lines if line.strip() and not line.startswith(";")]
    if jobs and len(jobs[0]) == len(FIELDS) and all(map(_numeric, jobs[0])):
        return _SURE
    if any(line.startswith(";") and ":" in line for line in lines[:5]):
        return _COMMENTED
    return _NAMED if ".swf" in path.suffixes else 0.0


def read(reading: Reading) -> Iterator[Chunk]:
    """Yield the jobs of an SWF log; raises as ``lines.line_blocks``."""
    start = _start(reading)
    for block in line_blocks(reading):
        yield _chunk(_rows(block), start, reading)


def _numeric(text: str) -> bool:
    return re.fullmatch(r"[-+]?\d+(\.\d*)?", text) is not None


def processors(path: Path) -> int | None:
    """Return the size of the machine by the comments before the first job: MaxProcs, else MaxNodes, else None."""
    comments = _comments(path, "UTC", Notes())
    found = next((match for size in _SIZES if (match := size.search(comments))), None)
    return int(found[1]) if found else None


def _start(reading: Reading) -> int:
    """Return the log's first second [s since 1970]."""
    found = _START.search(_comments(reading.path, reading.timezone, reading.notes))
    if not found:
        reading.notes.add("the log has no UnixStartTime: its times count from 1970-01-01")
    return int(found[1]) if found else 0


def _comments(path: Path, timezone: str, notes: Notes) -> str:
    """Return the comments before a log's first job."""
    comments: list[str] = []
    for block in line_blocks(Reading(path, 100, timezone, notes, lambda _: None)):
        texts = block.texts(range(len(block)))
        jobs = [i for i, text in enumerate(texts) if text.strip() and not text.lstrip().startswith(";")]
        comments += texts[: jobs[0]] if jobs else texts
        if jobs:
            break
    return "\n".join(comments)


def _rows(block: Lines) -> Rows:
    """Cut lines into 18 numbers each; a line of another count or with text in it is no row."""
    texts = _strings(block).str.strip_chars()
    jobs = ((texts != "") & ~texts.str.starts_with(";")).arg_true()
    words = texts.gather(jobs).str.replace_all(r"\s+", " ").str.split(" ")
    full = words.list.len() == len(FIELDS)
    numbers = words.filter(full).explode().cast(pl.Float64, strict=False).fill_nan(None)
    grid = numbers.to_numpy().reshape(-1, len(FIELDS))
    good = np.isfinite(grid).all(axis=1)
    places = jobs.filter(full).to_numpy()
    kept = places[good]
    broken = [
        _broken(block, jobs.filter(~full).to_numpy(), words.filter(~full), None),
        _broken(block, places[~good], words.filter(full).filter(pl.Series(~good)), ~np.isfinite(grid[~good])),
    ]

    def quote(rows: Sequence[int]) -> list[str]:
        return block.texts(kept[list(rows)].tolist())

    cells = pl.DataFrame(grid[good], schema=list(FIELDS), orient="row")
    return Rows(cells, pl.Series(kept + block.first, dtype=pl.Int64), quote, pl.concat(broken))


def _strings(block: Lines) -> pl.Series:
    """Return the lines as a column without making an object of each."""
    offsets = np.append(block.starts, len(block.data) + (1 if len(block) else 0)).astype(np.int64)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(block.data + b"\n")]
    return pl.Series(pa.Array.from_buffers(pa.large_string(), len(block), buffers))


def _broken(block: Lines, places: np.ndarray, words: pl.Series, bad: np.ndarray | None) -> pl.DataFrame:
    """Say of each line what is wrong: its number of columns, or (``bad`` given) its first word that is no number."""
    if bad is None:
        columns, rule = [""] * len(places), "columns"
        found = [f"{n} columns, {len(FIELDS)} expected" for n in words.list.len()]
    else:
        first = bad.argmax(axis=1)
        columns, rule = [FIELDS[i] for i in first], "unreadable"
        found = [row[int(i)] for row, i in zip(words, first, strict=True)]
    lines = places.astype(np.int64) + block.first
    return pl.DataFrame(
        {"line": lines, "column": columns, "rule": rule, "value": found, "raw": block.texts(places.tolist())},
        schema=REJECT,
    )


def _chunk(rows: Rows, start: int, reading: Reading) -> Chunk:
    """Map the log's columns to the canonical ones."""
    cells = rows.cells.with_columns(pl.when(pl.all() != -1).then(pl.all()))
    draft = Draft(rows, reading)
    for name, column in cells.select(**_MAPPING).to_dict().items():
        draft.put(name, column)
    submit = cells["submit"] + start
    started = submit + cells["wait"].fill_null(0)
    for name, seconds in (("submit_time", submit), ("start_time", started), ("end_time", started + cells["run"])):
        draft.put(name, (seconds.clip(-1e11, 1e11).floor() * 1000).cast(pl.Int64).cast(UTC_TIME))
    reading.notes.count("no wait time: start taken as submission", cells["wait"].null_count())
    fallen = int((cells["processors_req"].is_null() & cells["processors"].is_not_null()).sum())
    reading.notes.count("no requested processors: the allocated ones taken", fallen)
    return draft.finish()


def _label(word: str, field: str) -> pl.Expr:
    return pl.format(f"{word}{{}}", pl.col(field).cast(pl.Int64, strict=False))


_PROCESSORS = pl.coalesce("processors_req", "processors")
_MAPPING = {
    "job_id": pl.col("job").cast(pl.Int64, strict=False).cast(pl.String),
    "user": _label("user", "user"),
    "account": _label("group", "group"),
    "partition": pl.coalesce(_label("partition", "partition"), _label("queue", "queue")),
    "qos": pl.when(pl.col("partition").is_not_null()).then(_label("queue", "queue")),
    "wallclock_req": pl.col("wallclock_req"),
    "processors_req": _PROCESSORS,
    "mem_req": pl.col("memory_req") * _PROCESSORS / 1024,
    "run_time": pl.col("run"),
    "state": pl.col("status").replace_strict(STATES, default=None, return_dtype=pl.String),
    "name": _label("exe", "executable"),
}

SOURCE = Source("swf", "SWF log (.swf, .swf.gz): 18 columns of numbers, comments begin with ;", sniff, read, processors)
