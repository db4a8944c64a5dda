"""Bulk rows as Arrow IPC streams: columns checked against the schema, values against its bounds, without row loops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rt_predictor_api.asked import Asked, limit_rows
from rt_predictor_api.compression import is_compressed
from rt_predictor_api.settings import variable
from rt_predictor_api.validation import InvalidRequest, Violation, few
from rt_predictor_core.requests import Requests, seconds
from rt_predictor_core.schema import BY_NAME, COLUMNS, Column

FIELD = "arrow_jobs"
"""The field of the contract that holds the payload; violations are named below it."""

KNOWN = {column.name: column for column in COLUMNS if column.at_submit}
"""Columns that a payload may have."""

LARGEST_TEXT_FACTOR = 4
"""Decoded text may be this many times larger than the largest message; a dictionary can name one text many times."""

_VIEW_WORDS = 4
"""Words of a view, of which the first is the length of its text."""


def read(data: bytes, as_of: int, most_rows: int, most_bytes: int) -> Asked:
    """Return the rows of an Arrow IPC stream; a row without a submit time gets ``as_of`` [s since 1970].

    Raises
    ------
    InvalidRequest
        Where the bytes are no intact stream, a column is unknown or of the wrong type, or a limit is passed. A bad
        value only makes its row an error.
    """
    table = _table(data, most_rows, LARGEST_TEXT_FACTOR * most_bytes)
    _limit_text(table, LARGEST_TEXT_FACTOR * most_bytes)
    return asked(table, as_of)


def count(data: bytes) -> int:
    """Return how many rows the stream says it has; 0 where ``read`` refuses it anyway."""
    try:
        if is_compressed(data):
            return 0
        with pa.ipc.open_stream(data) as stream:
            return sum(batch.num_rows for batch in stream)
    except (pa.ArrowException, ValueError, OSError):
        return 0


def _table(data: bytes, most_rows: int, most_bytes: int) -> pa.Table:
    """Read and fully validate the stream: offsets that point nowhere would otherwise be followed."""
    try:
        if is_compressed(data):
            raise _invalid(FIELD, "has compressed buffers; write the stream without, and compress the call instead")
        with pa.ipc.open_stream(data) as stream:
            _check_columns(stream.schema)
            batches, rows, seen = [], 0, 0
            for batch in stream:
                rows += batch.num_rows
                limit_rows(FIELD, rows, most_rows, "max_arrow_rows")
                seen += sum(_seen_bytes(column) for column in batch.columns)
                _limit_bytes(seen, most_bytes)
                batch.validate(full=True)
                batches.append(batch)
            return pa.Table.from_batches(batches, stream.schema)
    except (pa.ArrowException, ValueError, OSError) as error:
        text = "is no intact Arrow IPC stream; write it with an Arrow library's stream writer"
        raise _invalid(FIELD, text) from error


def _check_columns(schema: pa.Schema) -> None:
    broken = []
    for name in dict.fromkeys(schema.names):
        column = KNOWN.get(name)
        if column is None:
            broken.append(Violation(f"{FIELD}.{name[:80]}", f"unknown column; known are {', '.join(KNOWN)}"))
        elif schema.names.count(name) > 1:
            broken.append(Violation(f"{FIELD}.{name}", "occurs more than once"))
        elif not _fits(schema.field(name).type, column):
            expected = {"text": "text", "time": "a timestamp"}.get(column.unit, "a number")
            broken.append(Violation(f"{FIELD}.{name}", f"must be {expected}, not {str(schema.field(name).type)[:80]}"))
    if broken:
        raise few(broken, FIELD)


def _seen_bytes(views: pa.Array) -> int:
    """Return how long all texts of a column of views are together: many may look at the same bytes.

    Whoever reads them all reads so much, the validation among others.
    """
    if not pa.types.is_string_view(views.type) or not len(views):
        return 0
    held = np.frombuffer(views.buffers()[1], np.int32).reshape(-1, _VIEW_WORDS)[
        views.offset : views.offset + len(views)
    ]
    return int(np.maximum(held[:, 0], 0).sum(dtype=np.int64))


def _fits(kind: pa.DataType, column: Column) -> bool:
    if pa.types.is_null(kind):
        return True
    if column.unit == "text":
        plain = kind.value_type if pa.types.is_dictionary(kind) else kind
        # Arrow cannot look up views in a dictionary
        views = pa.types.is_string_view(kind)
        return bool(pa.types.is_string(plain) or pa.types.is_large_string(plain) or views)
    if column.unit == "time":
        return bool(pa.types.is_timestamp(kind))
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _limit_text(table: pa.Table, most_bytes: int) -> None:
    """Refuse text that would grow beyond measure when its dictionary is written out."""
    total = 0
    for name in table.column_names:
        for chunk in table[name].chunks:
            if pa.types.is_dictionary(chunk.type):
                sizes = pc.binary_length(pc.cast(chunk.dictionary, pa.large_string()))
                total += pc.sum(pc.take(sizes, chunk.indices)).as_py() or 0
            else:
                total += chunk.nbytes
    _limit_bytes(total, most_bytes)


def _limit_bytes(total: int, most_bytes: int) -> None:
    if total > most_bytes:
        text = (
            f"{total} bytes of decoded values are more than {most_bytes}; split the rows, or raise "
            f"{variable('max_message_bytes')} of the service"
        )
        raise _invalid(FIELD, text)


def asked(table: pa.Table, as_of: int) -> Asked:
    """Return the rows of a table whose columns are known and of the right kind; otherwise as ``read``."""
    table = _canonical(table, as_of)
    errors = _errors(table)
    keep = np.ones(table.num_rows, bool)
    keep[list(errors)] = False
    good = np.flatnonzero(keep)
    if errors:
        table = table.take(pa.array(good))
    requests = Requests.from_arrow(table)
    # Arrow's arrays are read-only, for which numba would compile a second version of every kernel in the first call
    requests = replace(requests, submit_time=requests.submit_time.copy())
    return Asked(requests, good, errors, _identities(table))


def _canonical(table: pa.Table, as_of: int) -> pa.Table:
    """Return the columns in the schema's types, with a submit time in every row."""
    columns = {}
    for name in table.column_names:
        columns[name] = pc.cast(table[name], BY_NAME[name].type, safe=False)
    kind = BY_NAME["submit_time"].type
    moment = pa.scalar(as_of, kind)
    submitted = columns.get("submit_time")
    columns["submit_time"] = pa.repeat(moment, table.num_rows) if submitted is None else pc.fill_null(submitted, moment)
    return pa.table(columns)


def _errors(table: pa.Table) -> dict[int, list[Violation]]:
    """Return what is wrong with each bad row, by position."""
    errors: dict[int, list[Violation]] = {}
    for name in table.column_names:
        bad, text = _broken(table[name], KNOWN[name])
        for row in np.flatnonzero(bad).tolist():
            errors.setdefault(row, []).append(Violation(name, text))
    return errors


def _broken(values: pa.ChunkedArray, column: Column) -> tuple[np.ndarray, str]:
    """Return which values break the column's bounds, bool[rows], and what is expected; unknown values do not."""
    low, high = column.low or 0.0, column.high or 0.0
    if column.unit == "text":
        good = pc.less_equal(pc.utf8_length(values), int(high))
        text = f"must be at most {high:.0f} characters"
    elif column.unit == "time":
        moments = seconds(values)
        return (moments < low) | (moments >= high), "must lie between 1970-01-01 and 2100-01-01"
    else:
        # a NaN fails both comparisons; an unknown number is null
        good = pc.and_(pc.greater_equal(values, low), pc.less_equal(values, high))
        text = f"must be greater than or equal to {low:.0f} and less than or equal to {high:.0f}"
    return ~np.asarray(pc.fill_null(good, True), bool), text


def _identities(table: pa.Table) -> list[tuple[str, int] | None]:
    if "job_id" not in table.column_names:
        return [None] * table.num_rows
    moments = seconds(table["submit_time"]).tolist()
    return [(job, moment) if job else None for job, moment in zip(table["job_id"].to_pylist(), moments, strict=True)]


def write(columns: Mapping[str, tuple[Any, pa.DataType]], asked: Asked) -> bytes:
    """Return one row per row asked for, as an Arrow IPC stream.

    ``columns`` are values of the good rows with their types; NaN becomes null. The column ``error`` is added: text
    where the row was bad, null where it was good.
    """
    rows = len(asked)
    place = np.full(rows, -1, np.int64)
    place[asked.good] = np.arange(len(asked.good))
    # index -1 is masked: the row has no forecast
    at = pa.array(place, mask=place < 0)
    table = {name: pa.array(values, kind, from_pandas=True).take(at) for name, (values, kind) in columns.items()}
    told = [asked.errors.get(row) for row in range(rows)] if asked.errors else [None] * rows
    table["error"] = pa.array([_told(violations) for violations in told], pa.string())
    return _stream(pa.table(table))


def warm() -> None:
    """Pay now for what Arrow imports when it is first used, pandas for one, instead of in the first call."""
    data = _stream(pa.table({"nodes_req": pa.array([1.0])}))
    asked = read(data, as_of=0, most_rows=1, most_bytes=len(data))
    write({"seconds": (np.ones(1), pa.float64())}, asked)


def _stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def _told(violations: Sequence[Violation] | None) -> str | None:
    if violations is None:
        return None
    return "; ".join(f"{violation.field}: {violation.description}" for violation in violations)


def _invalid(field: str, description: str) -> InvalidRequest:
    return InvalidRequest([Violation(field, description)])
