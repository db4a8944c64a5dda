"""Results on the server, looked at a part at a time."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_predictor_client.rows import RESULT_COLUMNS
from rt_predictor_formats.errors import Problem
from rt_predictor_ui.batch.results import Results, View
from rt_predictor_ui.batch.upload import MOST_MEGABYTES, TEMPLATE, preview, read_upload


def values(median: float | None, chance: float | None = None, tier: str = "user") -> dict[str, Any]:
    empty = dict.fromkeys(RESULT_COLUMNS)
    if median is None:
        return {**empty, "error": "no"}
    return {**empty, "median_seconds": median, "probability_exceeds_request": chance, "tier": tier}


def made(*medians: float | None) -> Results:
    results = Results(["user"])
    for i, median in enumerate(medians):
        results.add({"user": f"u{i}"}, values(median))
    return results


@given(medians=st.lists(st.none() | st.floats(0, 1e7), max_size=50), falling=st.booleans())
def test_rows_are_ordered_and_those_without_a_value_come_last(medians: list[float | None], *, falling: bool) -> None:
    seen = made(*medians).viewed(View(by="median_seconds", falling=falling))["median_seconds"].to_pylist()
    known = sorted((median for median in medians if median is not None), reverse=falling)
    assert seen == known + [None] * (len(medians) - len(known))


def test_rows_of_a_kind_are_found() -> None:
    results = Results(["user"])
    results.add({"user": "a"}, values(1, 0.5))
    results.add({"user": "b"}, values(2, 0.05, "none"))
    results.add({}, values(None))
    results.add({"user": "d"}, values(3))
    found = {kind: results.viewed(View(kind))["row"].to_pylist() for kind in ("all", "at risk", "cold start")}
    assert found == {"all": [1, 2, 3, 4], "at risk": [1], "cold start": [2]}
    assert results.viewed(View("with an error"))["row"].to_pylist() == [3]
    assert results.errors == 1


def test_text_is_found_as_it_stands_and_not_as_a_pattern() -> None:
    results = Results(["user", "note"])
    for note in ("a.b", "axb", "A.B(", "%"):
        results.add({"user": "ada", "note": note}, values(1))
    assert results.viewed(View(text="a.b"))["row"].to_pylist() == [1, 3]
    assert results.viewed(View(text="("))["row"].to_pylist() == [3]
    assert results.viewed(View(text="no"))["row"].to_pylist() == []


def test_an_input_column_may_have_any_name() -> None:
    results = Results(["row", "_row", "median_seconds"])
    results.add({"row": "x", "_row": "y", "median_seconds": "z"}, values(7))
    assert results.kept == ("row", "_row")
    assert (
        results.table().to_pylist()[0] | {"row": "x", "_row": "y", "__row": 1, "median_seconds": 7.0}
        == (results.table().to_pylist()[0])
    )


def test_many_rows_are_all_there() -> None:
    results = made(*range(5001))
    assert results.table()["row"].to_pylist() == list(range(1, 5002))


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
