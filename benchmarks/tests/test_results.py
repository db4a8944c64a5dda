"""Results: one key per benchmark, tables as Markdown, and documents that get them from the results."""

from __future__ import annotations

from pathlib import Path

import pytest

from results import read, write
from run import BENCHMARKS
from tables import DOCUMENT, fill, markdown


def test_writing_one_benchmark_leaves_the_others(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write("growth", [1], path)
    write("peer", {"rows": []}, path)
    write("growth", [2], path)
    assert read(path) == {"growth": [2], "peer": {"rows": []}}


def test_a_table_is_aligned_and_a_missing_cell_is_empty() -> None:
    rows = [{"name": "read", "s": 1.25, "note": None}, {"name": "fit", "s": 12.0}]
    assert markdown({"name": "", "s": ".1f", "note": ""}, rows).splitlines() == [
        "| name |    s | note |",
        "| ---- | ---: | ---- |",
        "| read |  1.2 |      |",
        "| fit  | 12.0 |      |",
    ]


def test_a_table_goes_between_its_marks_and_nowhere_else(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("above\n<!-- peer: begin -->\nold\n<!-- peer: end -->\nbelow\n", "utf-8")
    fill("peer", "new \\1", path)
    fill("peer", "newer", path)
    assert path.read_text("utf-8") == "above\n<!-- peer: begin -->\n\nnewer\n\n<!-- peer: end -->\nbelow\n"
    with pytest.raises(SystemExit, match="no marks for growth"):
        fill("growth", "new", path)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_has_its_place_in_the_document(name: str) -> None:
    text = DOCUMENT.read_text("utf-8")
    assert f"<!-- {name}: begin -->" in text
    assert f'make bench ARGS="{name}' in text
