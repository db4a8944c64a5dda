"""Tables with named columns: parquet, and delimited text whose first line names the columns.

Text is cut into lines here and given to Arrow's CSV parser one block at a time, every cell as text. A job is one line:
a line break inside a quoted cell makes rejects of the lines it joins, and a quote that is never closed costs its own
line and no other. So line numbers are exact and a bad line cannot hide the good ones behind it.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from rt_predictor_core.sources.contract import REJECT, Reading, Rows
from rt_predictor_core.sources.lines import Lines, line_blocks, opened
from rt_predictor_formats.errors import Problem

PARQUET_MAGIC = b"PAR1"

_DELIMITERS = ",|\t;"
_UNQUOTED = "|"
"""``sacct -P`` never quotes: with this delimiter a quote is a letter like any other."""


@dataclass(frozen=True)
class Header:
    """Names of a table's columns, and how its text is cut.

    Attributes
    ----------
    names: of all columns, in order.
    delimiter: between cells; empty for parquet.
    headed: whether the first line of the text holds the names.
    mend: tries to cut a line that has another number of cells; None where it cannot.
    """

    names: tuple[str, ...]
    delimiter: str
    headed: bool = True
    mend: Callable[[str], Sequence[str] | None] | None = None


def header(path: Path, head: bytes) -> Header | None:
    """Return the column names of a table, None where the file is none.

    ``head`` is the beginning of the file, decompressed.

    Raises
    ------
    Problem
        LOG_DAMAGED for a file that begins as parquet and cannot be read as such.
    """
    if head.startswith(PARQUET_MAGIC):
        with opened(path) as raw:
            return Header(tuple(_parquet(path, raw).schema_arrow.names), "")
    line = head.removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0].rstrip(b"\r")
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return None
    if not text.replace("\t", "").isprintable():
        return None
    delimiter = max(_DELIMITERS, key=text.count)
    return Header(_split(text, delimiter), delimiter) if delimiter in text else None


def rows_of(reading: Reading, head: Header, wanted: Sequence[str]) -> Iterator[Rows]:
    """Yield a table's rows in order, the wanted columns alone, at most ``chunk_rows`` at a time.

    Text cells come as text, parquet cells in the file's own types.

    Raises
    ------
    Problem
        LOG_DAMAGED where parquet cannot be read on; for text see ``lines.line_blocks``.
    """
    return _text_rows(reading, head, wanted) if head.delimiter else _parquet_rows(reading, wanted)


def _split(text: str, delimiter: str) -> tuple[str, ...]:
    names = text.split(delimiter) if delimiter == _UNQUOTED else next(csv.reader([text], delimiter=delimiter))
    seen: dict[str, int] = {}
    for name in names:
        seen[name] = seen.get(name, 0) + 1
    return tuple(name.strip() if seen[name] == 1 else f"{name.strip()}#{i}" for i, name in enumerate(names))


def _text_rows(reading: Reading, head: Header, wanted: Sequence[str]) -> Iterator[Rows]:
    for block in line_blocks(reading):
        lines = block.part(1, len(block)) if block.first == 1 and head.headed else block
        if len(lines):
            yield _rows(lines, head, wanted)


def _rows(lines: Lines, head: Header, wanted: Sequence[str]) -> Rows:
    table, kept, ragged = _parsed(lines, head, wanted)
    blank = lines.blank
    table, kept = table.filter(~blank[kept]), kept[~blank[kept]]
    mended, broken = _mended(lines, [row for row in ragged if not blank[row]], head)
    if mended:
        rows = pa.Table.from_pylist(
            [dict(zip(head.names, cells, strict=True)) for cells in mended.values()], table.schema
        )
        both = np.concatenate((kept, np.array(list(mended), np.int64)))
        order = np.argsort(both, kind="stable")
        table, kept = pa.concat_tables([table, rows]).take(order), both[order]

    def quote(rows: Sequence[int]) -> list[str]:
        return lines.texts(kept[list(rows)].tolist())

    return Rows(pl.DataFrame(table), pl.Series(kept + lines.first, dtype=pl.Int64), quote, _broken(lines, broken, head))


def _mended(lines: Lines, ragged: list[int], head: Header) -> tuple[dict[int, Sequence[str]], list[int]]:
    """Return the cells of the lines that the format knows to cut, and the positions of the others."""
    cut = {row: head.mend(text) for row, text in zip(ragged, lines.texts(ragged), strict=True)} if head.mend else {}
    mended = {row: cells for row, cells in cut.items() if cells is not None}
    return mended, [row for row in ragged if row not in mended]


def _parsed(lines: Lines, head: Header, wanted: Sequence[str]) -> tuple[pa.Table, np.ndarray, list[int]]:
    """Return the parsed cells, the positions of their lines, and the positions of lines that are no rows.

    Where the parser finds another number of rows than there are lines, a quote has joined or torn lines: the
    block is halved until the lines at fault stand alone.
    """
    ragged: list[int] = []

    def keep(row: pc.InvalidRow) -> str:
        ragged.append(row.number - 1)
        return "skip"

    try:
        table = pc.read_csv(
            pa.BufferReader(lines.data),
            pc.ReadOptions(column_names=list(head.names), use_threads=False, block_size=len(lines.data) + 1),
            pc.ParseOptions(
                delimiter=head.delimiter,
                quote_char=False if head.delimiter == _UNQUOTED else '"',
                ignore_empty_lines=False,
                invalid_row_handler=keep,
            ),
            pc.ConvertOptions(
                column_types=dict.fromkeys(head.names, pa.string()),
                include_columns=list(wanted),
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid:
        table = None
    if table is not None and table.num_rows + len(ragged) == len(lines):
        return table, np.setdiff1d(np.arange(len(lines)), ragged, assume_unique=True), ragged
    if len(lines) == 1:
        return pa.table({name: pa.array([], pa.string()) for name in wanted}), np.arange(0), [0]
    middle = len(lines) // 2
    halves = [_parsed(lines.part(begin, end), head, wanted) for begin, end in ((0, middle), (middle, len(lines)))]
    (upper, upper_kept, upper_ragged), (lower, lower_kept, lower_ragged) = halves
    kept = np.concatenate((upper_kept, lower_kept + middle))
    return pa.concat_tables([upper, lower]), kept, upper_ragged + [row + middle for row in lower_ragged]


def _broken(lines: Lines, positions: list[int], head: Header) -> pl.DataFrame:
    texts = lines.texts(positions)
    return pl.DataFrame(
        {
            "line": [lines.first + position for position in positions],
            "column": "",
            "rule": "columns",
            "value": [f"{text.count(head.delimiter) + 1} columns, {len(head.names)} named" for text in texts],
            "raw": texts,
        },
        schema=REJECT,
    )


def _parquet(path: Path, raw: object) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(raw)
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise _damaged(path, error) from None


def _parquet_rows(reading: Reading, wanted: Sequence[str]) -> Iterator[Rows]:
    size = reading.path.stat().st_size
    with opened(reading.path) as raw:
        file = _parquet(reading.path, raw)
        batches = file.iter_batches(batch_size=reading.chunk_rows, columns=list(wanted))
        done = 0
        while (cells := _next_frame(reading.path, batches)) is not None:
            lines = pl.int_range(done + 1, done + 1 + cells.height, eager=True)
            yield Rows(cells, lines, partial(_quoted, cells), pl.DataFrame(schema=REJECT))
            done += cells.height
            reading.progress(size * done // max(file.metadata.num_rows, 1))


def _quoted(cells: pl.DataFrame, rows: Sequence[int]) -> list[str]:
    return [",".join("" if cell is None else str(cell) for cell in row) for row in cells[list(rows)].rows()]


def _next_frame(path: Path, batches: Iterator[pa.RecordBatch]) -> pl.DataFrame | None:
    try:
        batch = next(batches, None)
        if batch is None:
            return None
        batch.validate(full=True)
        frame = pl.DataFrame(pa.table(_as_text(batch)))
    except (pa.ArrowException, pl.exceptions.PolarsError, OSError, ValueError, OverflowError) as error:
        raise _damaged(path, error) from None
    return frame.with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String))


def _as_text(batch: pa.RecordBatch) -> dict[str, pa.Array]:
    """Take bytes for text: some writers do not mark their text columns."""
    kinds = (pa.binary(), pa.large_binary())
    return {
        name: cells.cast(pa.string()) if cells.type in kinds else cells
        for name, cells in zip(batch.schema.names, batch.columns, strict=True)
    }


def _damaged(path: Path, error: Exception) -> Problem:
    thing = (
        f"this parquet file is cut off or damaged: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
    )
    return Problem("LOG_DAMAGED", thing, place=str(path), remedy="copy the file again and compare its checksum")
