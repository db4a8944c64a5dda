"""The results of a run: columns in a file on the server, of which a page reads the rows that it shows."""

from __future__ import annotations

import mmap
import os
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rt_predictor_client.rows import RESULT_COLUMNS, Row
from rt_predictor_ui.batch.blocks import NUMBERS

SHOWN: Final = ("all", "at risk", "cold start", "with an error")
"""Kinds of rows that a view may be of."""

_READ_ROWS: Final = 2000


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

    They lie in an Arrow file without a name in the system's folder for temporary files, or in that of TMPDIR, which is
    gone when nobody holds them any more, or the process ends. It is mapped into memory, so that reading copies nothing.

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
        texts = [(name, pa.string()) for name in self.kept]
        types = {name: NUMBERS.get(name, pa.string()) for name in RESULT_COLUMNS}
        self._schema = pa.schema([(self.number, pa.int64()), *texts, *types.items()])
        self._lock = Lock()
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it is closed with the last who holds these results
        weakref.finalize(self, self._file.close)
        self._writer = pa.ipc.new_stream(self._file, self._schema)
        self._rows = 0
        self._errors = 0
        self._closed = False
        self._read: tuple[int, pa.Table] | None = None
        self._found: tuple[tuple[int, View], np.ndarray] | None = None

    @property
    def rows(self) -> int:
        """How many rows have a result."""
        return self._rows

    @property
    def errors(self) -> int:
        """How many of them have an error."""
        return self._errors

    def add(self, rows: Sequence[Row], results: pa.Table) -> None:
        """Add the next rows with their results, columns ``RESULT_COLUMNS``; does nothing after ``close``."""
        count = len(rows)
        kept = [pa.array([row.get(name) for row in rows], pa.string()) for name in self.kept]
        with self._lock:
            if self._closed:
                return
            numbers = pa.array(np.arange(self._rows + 1, self._rows + count + 1))
            told = [results[name].combine_chunks() for name in RESULT_COLUMNS]
            self._writer.write_batch(pa.record_batch([numbers, *kept, *told], schema=self._schema))
            self._rows += count
            self._errors += count - results["error"].null_count

    def close(self) -> None:
        """Take no more rows."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._writer.close()
                self._file.flush()

    def table(self) -> pa.Table:
        """Return all rows so far, in the file and not in memory."""
        with self._lock:
            if self._read is None or self._read[0] != self._rows:
                self._file.flush()
                self._read = (self._rows, _mapped(self._file.fileno(), self._schema))
            return self._read[1]

    def errors_table(self) -> pa.Table:
        """Return number and error of the rows that have one."""
        table = self.table().select([self.number, "error"])
        return table.filter(pc.is_valid(table["error"]))

    def viewed(self, view: View) -> np.ndarray:
        """Return the places of a view's rows in its order, int64[rows]; those without what orders come last."""
        table = self.table()
        key = (table.num_rows, view)
        if self._found is None or self._found[0] != key:
            self._found = (key, self._places(table, view))
        return self._found[1]

    def at(self, places: np.ndarray) -> list[dict[str, Any]]:
        """Return the rows at some places, which are read from the file."""
        table = self.table()
        return [table.slice(int(place), 1).to_pylist()[0] for place in places]

    def _places(self, table: pa.Table, view: View) -> np.ndarray:
        masks = [np.asarray(self._chosen(batch, view)) for batch in table.to_batches()]
        places = np.flatnonzero(np.concatenate(masks)) if masks else np.empty(0, np.int64)
        if view.by not in table.column_names:
            return places
        # rows lie in the order of their numbers, and so do equal ones in the view
        keys = pa.table({"by": table[view.by].take(pa.array(places)), "place": places})
        order = "descending" if view.falling else "ascending"
        sort_keys = [("by", order, "at_end"), ("place", "ascending", "at_end")]
        sorted_places: np.ndarray = places[pc.sort_indices(keys, sort_keys=sort_keys).to_numpy()]
        return sorted_places

    def _chosen(self, batch: pa.RecordBatch, view: View) -> pa.Array:
        by_kind = {
            "at risk": lambda: pc.greater(batch["probability_exceeds_request"], view.risk),
            "cold start": lambda: pc.equal(batch["tier"], "none"),
            "with an error": lambda: pc.is_valid(batch["error"]),
        }
        chosen = pc.is_valid(batch[self.number])
        if view.kind in by_kind:
            chosen = pc.and_(chosen, pc.fill_null(by_kind[view.kind](), False))
        if view.text:
            hits = [
                pc.fill_null(pc.match_substring(batch[name], view.text, ignore_case=True), False)
                for name in (*self.kept, "error")
            ]
            found = hits[0]
            for hit in hits[1:]:
                found = pc.or_(found, hit)
            chosen = pc.and_(chosen, found)
        # NumPy knows no bits
        return chosen.cast(pa.uint8())


def table_rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    """Yield a table's rows, some at a time."""
    for batch in table.to_batches(max_chunksize=_READ_ROWS):
        yield from batch.to_pylist()


def _mapped(file: int, schema: pa.Schema) -> pa.Table:
    if not os.fstat(file).st_size:
        return schema.empty_table()
    content = pa.py_buffer(mmap.mmap(file, 0, access=mmap.ACCESS_READ))
    with pa.ipc.open_stream(pa.BufferReader(content)) as stream:
        return stream.read_all()
