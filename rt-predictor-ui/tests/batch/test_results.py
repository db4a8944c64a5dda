"""Results on the server, looked at a part at a time."""

from __future__ import annotations

import gc
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_predictor_client.rows import RESULT_COLUMNS
from rt_predictor_formats.errors import Problem
from rt_predictor_ui.batch.blocks import NUMBERS
from rt_predictor_ui.batch.results import Results, View
from rt_predictor_ui.batch.upload import MOST_MEGABYTES, TEMPLATE, preview, read_upload


def values(median: float | None, chance: float | None = None, tier: str = "user") -> dict[str, Any]:
    empty = dict.fromkeys(RESULT_COLUMNS)
    if median is None:
        return {**empty, "error": "no"}
    return {**empty, "median_seconds": median, "probability_exceeds_request": chance, "tier": tier}


def add(results: Results, rows: list[dict[str, str]], told: list[dict[str, Any]]) -> None:
    schema = pa.schema([(name, NUMBERS.get(name, pa.string())) for name in RESULT_COLUMNS])
    results.add(rows, pa.Table.from_pylist(told, schema))


def made(*medians: float | None, some: int = 3) -> Results:
    results = Results(["user"])
    for first in range(0, len(medians), some):
        part = list(enumerate(medians))[first : first + some]
        add(results, [{"user": f"u{i}"} for i, _ in part], [values(median) for _, median in part])
    return results


def seen(results: Results, view: View, column: str = "row") -> list[Any]:
    return [row[column] for row in results.at(results.viewed(view))]


@given(medians=st.lists(st.none() | st.floats(0, 1e7), max_size=50), falling=st.booleans())
def test_rows_are_ordered_and_those_without_a_value_come_last(medians: list[float | None], *, falling: bool) -> None:
    found = seen(made(*medians), View(by="median_seconds", falling=falling))
    # equal ones stay in the order of the file
    order = sorted(enumerate(medians, 1), key=lambda one: (one[1] is None, -(one[1] or 0) if falling else one[1] or 0))
    assert found == [number for number, _ in order]


def test_rows_of_a_kind_are_found() -> None:
    results = Results(["user"])
    add(results, [{"user": "a"}, {"user": "b"}], [values(1, 0.5), values(2, 0.05, "none")])
    add(results, [{}, {"user": "d"}], [values(None), values(3)])
    found = {kind: seen(results, View(kind)) for kind in ("all", "at risk", "cold start")}
    assert found == {"all": [1, 2, 3, 4], "at risk": [1], "cold start": [2]}
    assert seen(results, View("with an error")) == [3]
    assert results.errors == 1


def test_text_is_found_as_it_stands_and_not_as_a_pattern() -> None:
    results = Results(["user", "note"])
    for note in ("a.b", "axb", "A.B(", "%"):
        add(results, [{"user": "ada", "note": note}], [values(1)])
    assert seen(results, View(text="a.b")) == [1, 3]
    assert seen(results, View(text="(")) == [3]
    assert seen(results, View(text="no")) == []


def test_an_input_column_may_have_any_name() -> None:
    results = Results(["row", "_row", "median_seconds"])
    add(results, [{"row": "x", "_row": "y", "median_seconds": "z"}], [values(7)])
    assert results.kept == ("row", "_row")
    assert (
        results.table().to_pylist()[0] | {"row": "x", "_row": "y", "__row": 1, "median_seconds": 7.0}
        == (results.table().to_pylist()[0])
    )


def test_many_rows_are_all_there() -> None:
    results = made(*range(5001), some=1000)
    assert results.table()["row"].to_pylist() == list(range(1, 5002))


def test_rows_can_be_looked_at_while_more_come() -> None:
    results = Results(["user"])
    assert (results.table().num_rows, seen(results, View())) == (0, [])
    add(results, [{"user": "a"}], [values(1)])
    assert seen(results, View(by="median_seconds")) == [1]
    add(results, [{"user": "b"}], [values(0)])
    assert seen(results, View(by="median_seconds")) == [2, 1]
    results.close()
    results.close()
    add(results, [{"user": "late"}], [values(2)])
    assert results.table()["user"].to_pylist() == ["a", "b"]


def test_nobody_else_sees_the_file_of_results_and_it_goes_with_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    results = made(1, 2)
    assert list(tmp_path.iterdir()) == []
    table, file = results.table(), results._file
    del results
    gc.collect()
    assert file.closed
    assert table["row"].to_pylist() == [1, 2]  # what is being written to a browser stays


def test_a_file_is_read_with_a_mark_of_its_encoding() -> None:
    upload = read_upload("x.csv", b"\xef\xbb\xbf" + TEMPLATE.encode())
    assert (upload.rows, upload.header[0]) == (2, "user")
    assert preview(upload, upload.guessed(), 1)[0]["wallclock_req"] == "86400"


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"user\n" + b"x" * (MOST_MEGABYTES * 1024**2), "FILE_TOO_LARGE"), (b"user\n\xff\n", "CSV_INVALID")],
)
def test_a_file_that_cannot_be_taken_is_named(content: bytes, code: str) -> None:
    with pytest.raises(Problem) as caught:
        read_upload("x.csv", content)
    assert caught.value.code == code
    assert caught.value.place.startswith("x.csv")
