"""The page of many jobs, through its launcher, against a real server."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from rt_predictor_ui.batch import upload
from rt_predictor_ui.batch.upload import TEMPLATE

Words = Callable[[AppTest], str]


def give(page: AppTest, text: str, name: str = "jobs.csv") -> AppTest:
    return page.file_uploader[0].set_value((name, text.encode(), "text/csv")).run()


def run_until(page: AppTest, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, "the page did not change"
        page.run()


def rows(count: int) -> str:
    return "user,time,note\n" + "".join(f"u{i:04},{i % 600 + 1},n{i}\n" for i in range(count))


@pytest.fixture
def batch(show: Callable[[str], AppTest]) -> AppTest:
    return show("batch")


def test_the_template_is_understood_and_forecast(batch: AppTest, press: Any, words: Words, peer: Any) -> None:
    give(batch, TEMPLATE)
    assert "**jobs.csv**: 2 rows, 9 columns" in words(batch)
    shown = batch.dataframe[0].value
    assert (list(shown["User"]), list(shown["Requested time [s]"])) == (["ada", "bob"], ["86400", "5400"])
    press(batch, "Predict 2 rows")
    run_until(batch, lambda: "Done: 2 of 2 rows" in words(batch))
    assert [job["user"] for job in peer.jobs] == ["ada", "bob"]
    table = batch.dataframe[1].value
    assert list(table["Median"]) == ["5 h", "5 h"]
    assert list(table["Recommended"]) == ["11:00:00", "11:00:00"]
    assert list(table["Killed at the limit"]) == ["12.5 %", "12.5 %"]
    assert {metric.label: metric.value for metric in batch.metric}["At risk (above 10 %)"] == "2"


def test_columns_of_sacct_are_found_and_can_be_changed(batch: AppTest, field: Any, press: Any, peer: Any) -> None:
    give(batch, "JobID|User|Timelimit|Comment|JobName\n1|ada|01:00:00|bob|relax\n")
    assert field(batch, "Requested time, in Slurm's forms").value == "Timelimit"
    assert field(batch, "User").value == "User"
    field(batch, "User").set_value("Comment").run()
    press(batch, "Predict 1 row")
    run_until(batch, lambda: bool(peer.requests))
    run_until(batch, lambda: bool(peer.jobs))
    assert [(job["user"], job["wallclock_req"], job["name"]) for job in peer.jobs] == [("bob", 3600, "relax")]


@pytest.mark.parametrize(
    ("text", "code"),
    [("", "CSV_EMPTY"), ("user\n", "CSV_EMPTY"), ("a,a\n1,2\n", "COLUMN_DOUBLE"), ('user\n"open\n', "CSV_INVALID")],
)
def test_a_file_that_cannot_be_used_is_named(batch: AppTest, words: Words, text: str, code: str) -> None:
    give(batch, text)
    assert code in words(batch)
    assert "jobs.csv" in words(batch)
    assert not batch.get("progress")


def test_a_file_without_a_known_column_can_be_mapped(batch: AppTest, field: Any, words: Words) -> None:
    give(batch, "who\nada\n")
    assert "No usable column" in words(batch)
    field(batch, "User").set_value("who").run()
    assert "No usable column" not in words(batch)
    assert batch.dataframe[0].value["User"][0] == "ada"


def test_a_file_of_too_many_rows_says_what_to_do(batch: AppTest, words: Words, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "MOST_ROWS", 10)
    give(batch, rows(11))
    assert "The file has 11 rows, 10 are taken" in words(batch)
    assert "rtp batch" in words(batch)


def test_bad_rows_have_their_errors_and_hold_nothing_up(batch: AppTest, press: Any, words: Words) -> None:
    give(batch, "user,time,nodes_req\na,soon,1\nb,60,2000\nc,60\nd,60,1\n")
    press(batch, "Predict 4 rows")
    run_until(batch, lambda: "Done: 4 of 4 rows" in words(batch))
    assert {metric.label: metric.value for metric in batch.metric}["With an error"] == "3"
    batch.segmented_control[0].set_value("with an error").run()
    errors = batch.dataframe[1].value
    assert list(errors["Row"]) == [1, 2, 3]
    assert "'soon' is no duration" in errors["Error"][0]
    assert "must be at most 1000" in errors["Error"][1]
    assert "2 fields, 3 expected" in errors["Error"][2]


def test_the_page_shows_a_few_rows_of_many(batch: AppTest, press: Any, field: Any, words: Words) -> None:
    give(batch, rows(1200))
    press(batch, "Predict 1,200 rows")
    run_until(batch, lambda: "Done: 1,200 of 1,200 rows" in words(batch))
    assert len(batch.dataframe[1].value) == 50
    batch.get("pagination")[0].set_value(24).run()
    assert list(batch.dataframe[1].value["Row"]) == list(range(1151, 1201))
    field(batch, "Contains").input("U0007").run()
    assert list(batch.dataframe[1].value["note"]) == ["n7"]
    field(batch, "Contains").input("").run()
    field(batch, "Largest first").set_value(True).run()
    assert batch.dataframe[1].value["Row"][0] == 1200


def test_a_run_is_cancelled_while_the_service_does_not_answer(
    batch: AppTest, peer: Any, press: Any, words: Words
) -> None:
    peer.flow.clear()
    give(batch, rows(600))
    press(batch, "Predict 600 rows")
    assert [bar.proto.text for bar in batch.get("progress")] == ["0 of 600 rows, 0 rows/s"]
    press(batch, "Cancel")
    assert "Cancelled: 0 of 600 rows" in words(batch)
    assert not batch.get("progress")


def test_a_run_goes_on_when_the_service_is_back(batch: AppTest, peer: Any, press: Any, words: Words) -> None:
    peer.stop()
    give(batch, rows(600))
    press(batch, "Predict 600 rows")
    run_until(batch, lambda: "No service answers" in words(batch) and "waiting" in batch.get("progress")[0].proto.text)
    peer.start()
    run_until(batch, lambda: "Done: 600 of 600 rows" in words(batch))


def test_a_run_that_is_refused_says_why(batch: AppTest, peer: Any, press: Any, words: Words) -> None:
    peer.refused = {"risk": "is not accepted"}
    give(batch, rows(3))
    press(batch, "Predict 3 rows")
    run_until(batch, lambda: "Broken off: 0 of 3 rows" in words(batch))
    assert "is not accepted" in words(batch)


def test_results_stay_while_another_page_is_looked_at(batch: AppTest, show: Any, press: Any, words: Words) -> None:
    give(batch, rows(3))
    press(batch, "Predict 3 rows")
    run_until(batch, lambda: "Done: 3 of 3 rows" in words(batch))
    assert "How long will this job run?" in words(show(""))
    assert "Done: 3 of 3 rows" in words(show("batch"))
