"""Tables: the same Markdown for the terminal and for the documents."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

DOCUMENT = Path(__file__).parents[1] / "docs/reference/benchmarks.md"


def markdown(columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as a table; ``columns`` are key and format specification, numbers stand to the right.

    A cell that a row lacks or that is None stays empty.
    """
    cells = [list(columns)] + [[_cell(row.get(key), spec) for key, spec in columns.items()] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    left = [not spec for spec in columns.values()]
    padded = [
        [
            text.ljust(width) if is_left else text.rjust(width)
            for text, width, is_left in zip(row, widths, left, strict=True)
        ]
        for row in cells
    ]
    rule = ["-" * width if is_left else "-" * (width - 1) + ":" for width, is_left in zip(widths, left, strict=True)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [padded[0], rule, *padded[1:]])


def _cell(value: Any, spec: str) -> str:
    if value is None:
        return ""
    return format(value, spec) if spec else str(value)


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def fill(benchmark: str, text: str, document: Path = DOCUMENT) -> None:
    """Put what a benchmark says between its marks in a document; exits if the marks are missing."""
    marks = re.compile(rf"(<!-- {benchmark}: begin -->\n).*?(<!-- {benchmark}: end -->)", re.DOTALL)
    old = document.read_text("utf-8")
    if not marks.search(old):
        raise SystemExit(f"error: {document} has no marks for {benchmark}")
    document.write_text(marks.sub(lambda found: f"{found[1]}\n{text}\n\n{found[2]}", old), "utf-8")
