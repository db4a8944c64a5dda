"""Results as files."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from io import BytesIO, TextIOWrapper
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from rt_predictor_client.rows import RESULT_COLUMNS, result_cells
from rt_predictor_ui.batch.results import Results, table_rows

_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
_GROUP_ROWS: Final = 100_000
_NUMBER: Final = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)


def results_csv(results: Results) -> bytes:
    """Return what ``rtp batch`` writes: the input's own columns, then the forecasts; text is guarded."""
    rows = ({**row, **result_cells(row)} for row in table_rows(results.table()))
    return _csv((*results.kept, *RESULT_COLUMNS), rows)


def errors_csv(results: Results) -> bytes:
    """Return number and error of each row that has one; text is guarded."""
    table = results.errors_table()
    return _csv(table.column_names, table_rows(table))


def results_parquet(table: pa.Table) -> bytes:
    """Return a table with numbers as numbers, as a Parquet file."""
    file = BytesIO()
    pq.write_table(table, file, row_group_size=_GROUP_ROWS, compression="zstd")
    return file.getvalue()


def guarded(cell: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula: one that looks like it gets an apostrophe in front.

    See https://owasp.org/www-community/attacks/CSV_Injection. Numbers stay as they are.
    """
    if isinstance(cell, str) and cell.startswith(_STARTS) and _NUMBER.fullmatch(cell) is None:
        return f"'{cell}"
    return cell


def _csv(names: Sequence[str], rows: Iterable[dict[str, Any]]) -> bytes:
    content = BytesIO()
    file = TextIOWrapper(content, encoding="utf-8", newline="")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([guarded(name) for name in names])
    writer.writerows([guarded(row[name]) for name in names] for row in rows)
    file.flush()
    return content.getvalue()
