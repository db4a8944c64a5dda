"""Rows of a CSV file as jobs, and forecasts as its cells: what ``rtp batch`` and the browser pages share."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, TextIO, TypeAlias

from rt_predictor_client.columns import Meanings, to_job
from rt_predictor_formats.errors import Problem
from rt_predictor_formats.times import format_duration

if TYPE_CHECKING:
    from rt_predictor_client.requests import Forecast, RowError

RESULT_COLUMNS: Final = (
    "median_seconds",
    "most_likely_seconds",
    "lower_seconds",
    "upper_seconds",
    "recommended_time",
    "recommended_seconds",
    "probability_exceeds_request",
    "tier",
    "history_jobs",
    "degraded",
    "model_version",
    "error",
)
"""What is written behind the input's own columns; an input column of the same name is replaced."""

WIDEST_FIELD: Final = 1024 * 1024
"""Longest field of a CSV file that is read [characters]."""

Row: TypeAlias = dict[str, str]
_DELIMITERS: Final = ",;|\t"


def open_table(file: TextIO, source: str) -> tuple[list[str], Iterator[Row | Problem]]:
    """Return the header of a CSV file, and its rows or what is wrong with one.

    Cells are parted by a comma, or by a semicolon, bar or tab if the header has more of these. ``source`` names the
    file. Raises Problem CSV_EMPTY, or CSV_INVALID, which the rows may raise too.
    """
    csv.field_size_limit(WIDEST_FIELD)
    remedy = "give a header line and a line for each job"
    try:
        first = file.readline(WIDEST_FIELD)
        file.seek(0)
    except UnicodeDecodeError as error:
        raise _invalid(source, 1, error) from None
    delimiter = max(_DELIMITERS, key=first.count)  # the comma where there is none of them
    reader = csv.reader(file, strict=True, delimiter=delimiter)
    header = [name.strip() for name in _guarded(source, reader, []) or []]
    if not any(header):
        raise Problem("CSV_EMPTY", "the file is empty", place=source, remedy=remedy)
    return header, _rows(source, reader, header)


def count_rows(rows: Iterator[Row | Problem], source: str) -> int:
    """Return how many rows there are; raises Problem CSV_EMPTY if none."""
    count = sum(1 for _ in rows)
    if not count:
        raise Problem("CSV_EMPTY", "no rows", place=source, remedy="give a header line and a line for each job")
    return count


class Jobs:
    """Rows as jobs on their way to the service, and the rows themselves until their answers come."""

    def __init__(self, rows: Iterator[Row | Problem], by: Meanings) -> None:
        self._rows = rows
        self._by = by
        self._waiting: deque[tuple[Row, Problem | None]] = deque()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for row in self._rows:
            if isinstance(row, Problem):
                self._waiting.append(({}, row))
                continue
            try:
                job = to_job(row, self._by)
            except Problem as problem:
                self._waiting.append((row, problem))
            else:
                self._waiting.append((row, None))
                yield job

    def paired(self, results: Iterator[Forecast | RowError]) -> Iterator[tuple[Row, Forecast | RowError | Problem]]:
        """Yield every row with its result, or with why it was not sent, in order."""
        for result in results:
            yield from self._unsent()
            row, _ = self._waiting.popleft()
            yield row, result
        yield from self._unsent()

    def _unsent(self) -> Iterator[tuple[Row, Problem]]:
        while self._waiting and self._waiting[0][1] is not None:
            row, problem = self._waiting.popleft()
            if problem is not None:
                yield row, problem


def result_values(result: Forecast | RowError | Problem) -> dict[str, Any]:
    """Return a result by RESULT_COLUMNS, numbers as numbers; None where there is nothing to say."""
    from rt_predictor_client.requests import Forecast

    if not isinstance(result, Forecast):
        return {**dict.fromkeys(RESULT_COLUMNS), "error": str(result)}
    return {
        **{name: getattr(result, name) for name in RESULT_COLUMNS if hasattr(result, name)},
        "recommended_time": format_duration(result.recommended_seconds),
        "error": None,
    }


def result_cells(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``result_values`` as the cells of a CSV file."""
    return {name: _written(name, values[name]) for name in RESULT_COLUMNS}


def _written(name: str, value: Any) -> Any:
    if value is None:
        return ""
    if name == "probability_exceeds_request":
        return f"{value:.4f}"
    return f"{value:.1f}" if isinstance(value, float) else value


def _rows(source: str, reader: Iterator[list[str]], header: list[str]) -> Iterator[Row | Problem]:
    while (cells := _guarded(source, reader, None)) is not None:
        if not cells:
            continue  # a blank line
        if len(cells) == len(header):
            yield dict(zip(header, cells, strict=True))
        else:
            yield Problem("CSV_ROW", f"{len(cells)} fields, {len(header)} expected", remedy="correct the row")


def _guarded(source: str, reader: Iterator[list[str]], end: list[str] | None) -> list[str] | None:
    try:
        return next(reader, end)
    except (csv.Error, UnicodeDecodeError) as error:
        raise _invalid(source, getattr(reader, "line_num", 0) + 1, error) from None


def _invalid(source: str, line: int, error: Exception) -> Problem:
    return Problem("CSV_INVALID", str(error), place=f"{source}:{line}", remedy="give a CSV file in UTF-8")
