"""An uploaded file of jobs: read by the same code as ``rtp batch`` reads it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from itertools import islice
from typing import Final

from rt_predictor_client.columns import Meanings, meanings, to_job
from rt_predictor_client.rows import Row, count_rows, open_table
from rt_predictor_formats.errors import Problem

MOST_ROWS: Final = 1_000_000
"""Most rows of a file that the page takes: so many were measured, see docs/reference/benchmarks.md."""

MOST_MEGABYTES: Final = 100
"""Largest file that the page takes [MB]; the server holds it in memory for as long as the page is open."""

TEMPLATE: Final = (
    "user,time,nodes_req,processors_req,gpus_req,mem_req,partition,account,name\n"
    "ada,1-00:00:00,2,72,0,16384,short,physics,relax_01\n"
    "bob,90,1,8,,,,,\n"
)
"""A file to begin with; mem_req is in MB over all nodes, an empty cell is unknown."""


@dataclass(frozen=True)
class Upload:
    """A file that has a header and rows."""

    name: str
    content: bytes
    header: tuple[str, ...]
    rows: int

    def guessed(self) -> dict[str, str]:
        """Return the column of each meaning, by the names of the columns; raises Problem."""
        return meanings(self.header, self.name)

    @contextmanager
    def opened(self) -> Iterator[Iterator[Row | Problem]]:
        """Yield the rows, or what is wrong with one."""
        with _text(self.content) as file:
            yield open_table(file, self.name)[1]


def read_upload(name: str, content: bytes) -> Upload:
    """Return a file if it can be forecast; raises Problem FILE_TOO_LARGE, or as ``rows.open_table``."""
    size = len(content) / 1024**2
    if size > MOST_MEGABYTES:
        thing = f"the file has {size:.0f} MB, {MOST_MEGABYTES} MB are taken"
        raise Problem("FILE_TOO_LARGE", thing, place=name, remedy="cut it, or use `rtp batch`")
    with _text(content) as file:
        header, rows = open_table(file, name)
        count = count_rows(rows, name)
    if count > MOST_ROWS:
        thing = f"the file has {count:,} rows, {MOST_ROWS:,} are taken"
        raise Problem("FILE_TOO_LARGE", thing, place=name, remedy="cut it, or use `rtp batch`, which takes any number")
    return Upload(name, content, tuple(header), count)


def preview(upload: Upload, by: Meanings, most: int) -> list[dict[str, str]]:
    """Return the first rows as jobs, as the service will get them, with what is wrong in ``error``."""
    with upload.opened() as rows:
        return [_shown(row, by) for row in islice(rows, most)]


def _shown(row: Row | Problem, by: Meanings) -> dict[str, str]:
    if isinstance(row, Problem):
        return {"error": str(row)}
    try:
        return {name: _written(value) for name, value in to_job(row, by).items()}
    except Problem as problem:
        return {"error": str(problem)}


def _written(value: object) -> str:
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _text(content: bytes) -> TextIOWrapper:
    return TextIOWrapper(BytesIO(content), encoding="utf-8-sig", newline="")
