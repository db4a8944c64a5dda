"""Ingest: a log of any source as one table in submit order, and the columns that training needs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rt_predictor_core.features.table import FINGERPRINT
from rt_predictor_core.history.log import EventLog
from rt_predictor_core.requests import NUMBERS, TEXTS, Requests
from rt_predictor_core.sources import files_of, open_log
from rt_predictor_formats.errors import Problem
from rt_predictor_training.facts import Facts

FEWEST_JOBS = 200
"""Fewer jobs that ran than this cannot be split into folds that mean anything."""

_SAMPLES_HELD = 2
"""So many times the wanted newest jobs are held before the older ones are dropped: sorting each chunk costs more."""

_NEEDED = ("job_id", *TEXTS, *NUMBERS, "submit_time", "start_time", "end_time", "run_time", "state")


@dataclass(frozen=True)
class Jobs:
    """The accepted jobs of a log in submit order.

    Attributes
    ----------
    requests, events: the same ``n`` rows. facts: of all of them.
    """

    requests: Requests
    events: EventLog
    facts: Facts

    def __len__(self) -> int:
        return len(self.requests)

    def take(self, rows: np.ndarray) -> Jobs:
        """Return the jobs that an index array or a mask selects, at least one, in the same order."""
        requests, events, facts = self.requests.take(rows), self.events.take(rows), self.facts
        told = {name: getattr(facts, name) for name in ("rejected", "sources", "notes", "example")}
        return Jobs(requests, events, Facts.of(requests, events, **told))


@dataclass(frozen=True)
class Intake:
    """What to read: paths, rows at a time, the zone of naive times, how many of the newest jobs, where rejects go.

    ``guard`` is called with the number of jobs in memory, and raises Problem where those are too many; a log with fewer
    than ``fewest`` jobs that ran is refused.
    """

    paths: Sequence[Path]
    chunk_rows: int
    timezone: str = "UTC"
    sample_size: int | None = None
    rejects: Path | None = None
    guard: Callable[[int], None] = lambda _: None
    fewest: int = FEWEST_JOBS

    def key(self, *told: Any) -> str:
        """Return what tells one reading from another: files by size and time, options, release, what else is ``told``.

        16 hex digits. Raises OSError if a file is not there, Problem as ``sources.files_of``.
        """
        files = [file.resolve() for path in self.paths for file in files_of(path)]
        states = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
        options = [self.timezone, self.sample_size, self.rejects, FINGERPRINT, version("rt-predictor-training")]
        return sha256(json.dumps([states, options, told], default=str).encode()).hexdigest()[:16]


def ingest(intake: Intake, on_progress: Callable[[int, int], None]) -> Jobs:
    """Read a log. ``on_progress`` is called with the bytes read and the bytes there are.

    Text columns are dictionary-encoded as they come, so memory grows with the jobs' numbers and not their text.
    Raises Problem as ``sources.open_log`` does, LOG_TOO_SMALL, and as the intake's guard.
    """
    log = open_log(intake.paths, chunk_rows=intake.chunk_rows, timezone=intake.timezone, rejects=intake.rejects)
    batches: list[pa.RecordBatch] = []
    rows = 0
    for batch in log:
        batches.append(_compact(batch))
        rows += len(batch)
        if intake.sample_size is not None and rows > _SAMPLES_HELD * intake.sample_size + intake.chunk_rows:
            batches = _newest(batches, intake.sample_size).to_batches()
            rows = intake.sample_size
        intake.guard(rows)
        on_progress(log.bytes_read, log.bytes_total)
    table = _newest(batches, intake.sample_size)
    requests = Requests.from_arrow(table)
    events = EventLog.from_arrow(table, requests)
    ran = int(events.ran.sum())
    if ran < intake.fewest:
        raise Problem(
            "LOG_TOO_SMALL",
            f"{ran} jobs that ran, at least {intake.fewest} are needed",
            place=", ".join(map(str, intake.paths)),
            remedy="give a longer log with --data",
        )
    facts = Facts.of(
        requests,
        events,
        rejected=log.rows_rejected,
        sources=tuple(f"{path.name} ({log.format})" for path in intake.paths),
        notes=tuple(log.notes),
        example=_example(table),
    )
    return Jobs(requests, events, facts)


def _newest(batches: list[pa.RecordBatch], jobs: int | None) -> pa.Table:
    """Return the newest jobs, or all, in submit order."""
    table = pa.Table.from_batches(batches).unify_dictionaries()
    order = pc.sort_indices(table, sort_keys=[("submit_time", "ascending")])
    return table.take(order if jobs is None else order[max(0, len(order) - jobs) :])


def _compact(batch: pa.RecordBatch) -> pa.RecordBatch:
    columns = []
    for name in _NEEDED:
        column = batch[name]
        columns.append(pc.dictionary_encode(column) if name in TEXTS or name == "state" else column)
    return pa.RecordBatch.from_arrays(columns, names=list(_NEEDED))


def _example(table: pa.Table) -> dict[str, str | float | None]:
    recent = table.slice(max(0, len(table) - 10_000))
    users = pc.cast(recent["user"], pa.string())
    counted = users.drop_null().value_counts()
    if not len(counted):
        return {}
    user = counted.field("values")[int(np.argmax(counted.field("counts").to_numpy()))]
    own = recent.filter(pc.equal(users, user))
    return own.slice(len(own) - 1).select([*TEXTS, *NUMBERS]).to_pylist()[0]  # type: ignore[no-any-return]
