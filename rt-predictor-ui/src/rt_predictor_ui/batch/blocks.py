"""A file's rows, some at a time, as tables on their way to the service and back."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from rt_predictor_client.columns import Meanings, to_job
from rt_predictor_client.feed import ArrowForecasts
from rt_predictor_client.requests import JOB_COLUMNS, job_values, problem_error
from rt_predictor_client.rows import RESULT_COLUMNS, Row
from rt_predictor_formats.errors import Problem
from rt_predictor_formats.times import format_duration

ROWS: Final = 2000
"""Most rows of a block: fewer are slower, more need more memory on both sides."""

CHARACTERS: Final = 2_000_000
"""Most text of a block, so that it fits into one message whatever its rows hold."""

NUMBERS: Final = {
    "median_seconds": pa.float64(),
    "most_likely_seconds": pa.float64(),
    "lower_seconds": pa.float64(),
    "upper_seconds": pa.float64(),
    "recommended_seconds": pa.int64(),
    "probability_exceeds_request": pa.float64(),
    "history_jobs": pa.int64(),
}
"""Results that are numbers, with their types; the others are text."""

_MOMENT: Final = pa.timestamp("us", "UTC")
_SENT_AS: Final = {"recommended_seconds": "recommended_wallclock_seconds"}


@dataclass(frozen=True)
class Block:
    """Some rows of a file.

    Attributes
    ----------
    rows: their cells; empty for a row that could not be read.
    refused: why a row was not sent, by its place in the block.
    payload: the others as an Arrow IPC stream; None if there are none.
    """

    rows: Sequence[Row]
    refused: dict[int, str]
    payload: bytes | None


class Blocks:
    """Rows as blocks on their way to the service, and the blocks themselves until their answers come."""

    def __init__(self, rows: Iterator[Row | Problem], by: Meanings) -> None:
        self._rows = rows
        self._by = by
        self._waiting: deque[Block] = deque()

    def payloads(self) -> Iterator[bytes]:
        """Yield what is to be sent."""
        while some := _some(self._rows):
            block = made(some, self._by)
            self._waiting.append(block)
            if block.payload is not None:
                yield block.payload

    def answered(self, answers: Iterator[ArrowForecasts]) -> Iterator[tuple[Block, pa.Table]]:
        """Yield every block with its results, one row each, in order."""
        for answer in answers:
            yield from self._unsent()
            block = self._waiting.popleft()
            yield block, results(block, answer)
        yield from self._unsent()

    def _unsent(self) -> Iterator[tuple[Block, pa.Table]]:
        while self._waiting and self._waiting[0].payload is None:
            block = self._waiting.popleft()
            yield block, results(block, None)


def made(rows: Sequence[Row | Problem], by: Meanings) -> Block:
    """Return rows as a block."""
    refused: dict[int, str] = {}
    jobs: list[dict[str, Any]] = []
    for place, row in enumerate(rows):
        try:
            if isinstance(row, Problem):
                raise row
            job = to_job(row, by)
        except Problem as problem:
            refused[place] = str(problem)
            continue
        try:
            jobs.append(job_values(job))
        except Problem as problem:
            refused[place] = str(problem_error(problem, place))  # as the service says it of a row
    cells = [{} if isinstance(row, Problem) else row for row in rows]
    return Block(cells, refused, _payload(jobs) if jobs else None)


def results(block: Block, answer: ArrowForecasts | None) -> pa.Table:
    """Return a row for each row of a block: the service's answer, or why it was not sent."""
    count = len(block.rows)
    if answer is None:
        table = pa.table({name: pa.nulls(count, kind) for name, kind in _types()})
        return _with(table, "error", pa.array([block.refused[place] for place in range(count)], pa.string()))
    with pa.ipc.open_stream(answer) as stream:
        told = stream.read_all()
    if told.num_rows != count - len(block.refused):
        raise Problem(
            "ANSWER_MISMATCH",
            f"{told.num_rows} results for {count - len(block.refused)} jobs",
            remedy="bring pages and service to one version",
        )
    table = _named(told, answer.model_version)
    if not block.refused:
        return table
    numbers = iter(range(count))
    places = pa.array([None if place in block.refused else next(numbers) for place in range(count)], pa.int64())
    table = table.take(places)
    said = pa.array([block.refused.get(place) for place in range(count)], pa.string())
    return _with(table, "error", pc.coalesce(said, table["error"].combine_chunks()))


def _some(rows: Iterator[Row | Problem]) -> list[Row | Problem]:
    some: list[Row | Problem] = []
    characters = 0
    while len(some) < ROWS and characters < CHARACTERS and (row := next(rows, None)) is not None:
        some.append(row)
        characters += 0 if isinstance(row, Problem) else sum(map(len, row.values()))
    return some


def _payload(jobs: Sequence[dict[str, Any]]) -> bytes:
    # a job of which nothing is known has a row too, so one column there must be
    names = [name for name in JOB_COLUMNS if any(name in job for job in jobs)] or ["user"]
    kinds = {"submit_time": _MOMENT}
    table = pa.table({name: pa.array([job.get(name) for job in jobs], kinds.get(name)) for name in names})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def _named(told: pa.Table, version: str) -> pa.Table:
    """Return the service's columns by the names of results that ``rtp batch`` writes, with its words."""
    good = pc.is_null(told["error"])
    seconds = told[_SENT_AS["recommended_seconds"]].to_pylist()
    words = {
        "recommended_time": pa.array([None if one is None else format_duration(one) for one in seconds], pa.string()),
        "tier": pc.replace_substring(told["tier"].cast(pa.string()), "+", "_"),
        "model_version": pc.if_else(good, pa.scalar(version, pa.string()), None),
    }
    return pa.table(
        {name: words[name] if name in words else told[_SENT_AS.get(name, name)].cast(kind) for name, kind in _types()}
    )


def _types() -> Iterator[tuple[str, pa.DataType]]:
    return ((name, NUMBERS.get(name, pa.string())) for name in RESULT_COLUMNS)


def _with(table: pa.Table, name: str, values: Any) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, values)
