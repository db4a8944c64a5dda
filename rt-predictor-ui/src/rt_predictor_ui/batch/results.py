"""The results of a run: kept as columns on the server, of which the page gets a few rows at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from rt_predictor_client.rows import RESULT_COLUMNS

_NUMBERS: Final = {
    "median_seconds": pa.float64(),
    "most_likely_seconds": pa.float64(),
    "lower_seconds": pa.float64(),
    "upper_seconds": pa.float64(),
    "recommended_seconds": pa.int64(),
    "probability_exceeds_request": pa.float64(),
    "history_jobs": pa.int64(),
}
_BLOCK: Final = 2000
SHOWN: Final = ("all", "at risk", "cold start", "with an error")
"""Kinds of rows that a view may be of."""


@dataclass(frozen=True)
class View:
    """Which rows are looked at, and in which order; ``risk`` is the chance from which on a row is at risk."""

    kind: str = "all"
    text: str = ""
    risk: float = 0.1
    by: str = ""
    falling: bool = False


class Results:
    """Rows with their forecasts; one thread adds, others read.

    Attributes
    ----------
    kept: the input's own columns that come back.
    number: name of the column with the row's number, from 1; none of the input's columns has it.
    """

    def __init__(self, header: Sequence[str]) -> None:
        self.kept = tuple(name for name in header if name not in RESULT_COLUMNS)
        self.number = "row"
        while self.number in self.kept:
            self.number = f"_{self.number}"
        types = {name: _NUMBERS.get(name, pa.string()) for name in RESULT_COLUMNS}
        texts = [(name, pa.string()) for name in self.kept]
        self._schema = pa.schema([(self.number, pa.int64()), *texts, *types.items()])
        self._lock = Lock()
        self._blocks: list[pa.RecordBatch] = []
        self._last: list[dict[str, Any]] = []
        self._rows = 0
        self._errors = 0

    @property
    def rows(self) -> int:
        """How many rows have a result."""
        return self._rows

    @property
    def errors(self) -> int:
        """How many of them have an error."""
        return self._errors

    def add(self, row: Mapping[str, str], values: Mapping[str, Any]) -> None:
        """Add the next row with its ``result_values``."""
        with self._lock:
            self._rows += 1
            self._errors += values["error"] is not None
            self._last.append({**row, **values, self.number: self._rows})
            if len(self._last) >= _BLOCK:
                self._blocks.append(pa.RecordBatch.from_pylist(self._last, self._schema))
                self._last = []

    def table(self) -> pa.Table:
        """Return all rows so far."""
        with self._lock:
            blocks = [*self._blocks, pa.RecordBatch.from_pylist(self._last, self._schema)]
        return pa.Table.from_batches(blocks, self._schema)

    def errors_table(self) -> pa.Table:
        """Return number and error of the rows that have one."""
        table = self.table()
        return table.filter(pc.is_valid(table["error"])).select([self.number, "error"])

    def viewed(self, view: View) -> pa.Table:
        """Return the rows of a view, in its order; rows without the value that orders come last."""
        table = self.table()
        table = table.filter(self._chosen(table, view))
        if view.by in table.column_names:
            order = "descending" if view.falling else "ascending"
            keys = [(view.by, order, "at_end"), (self.number, "ascending", "at_end")]
            table = table.take(pc.sort_indices(table, sort_keys=keys))
        return table

    def _chosen(self, table: pa.Table, view: View) -> pa.ChunkedArray:
        chance, tier = table["probability_exceeds_request"], table["tier"]
        by_kind = {
            "at risk": lambda: pc.greater(chance, view.risk),
            "cold start": lambda: pc.equal(tier, "none"),
            "with an error": lambda: pc.is_valid(table["error"]),
        }
        chosen = pc.is_valid(table[self.number])
        if view.kind in by_kind:
            chosen = pc.and_(chosen, pc.fill_null(by_kind[view.kind](), False))
        if view.text:
            hits = [
                pc.fill_null(pc.match_substring(table[name], view.text, ignore_case=True), False)
                for name in (*self.kept, "error")
            ]
            found = hits[0]
            for hit in hits[1:]:
                found = pc.or_(found, hit)
            chosen = pc.and_(chosen, found)
        return chosen


def table_rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    """Yield a table's rows, a block at a time."""
    for block in table.to_batches(max_chunksize=_BLOCK):
        yield from block.to_pylist()
