"""What a terminal says of a backtest."""

from collections.abc import Callable
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from rt_predictor_training.outcome import Method, Outcome
from rt_predictor_training.report import columns
from rt_predictor_training.report.json import document
from rt_predictor_training.report.table import backtest_table
from rt_predictor_training.report.words import best_baselines, hours, verdict

Make = Callable[..., Outcome]


def printed(outcome: Outcome) -> str:
    console = Console(file=StringIO(), width=130)
    console.print(backtest_table(document(outcome)))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_the_table_has_a_row_per_method_and_sentences_below(make: Make) -> None:
    text = printed(make(2000, trace="[red]odd[/red]"))
    assert "[red]odd[/red]: 2,000 of 4,000 jobs, 12 blocks" in text
    for name in ("ensemble", "lightgbm", "request", "last2", "user_mean"):
        assert sum(line.startswith(f"│ {name} ") for line in text.splitlines()) == 1
    for words in ("The forecast is off by", "in consecutive tenths", "for a risk of 5 %", "users without history"):
        assert words in text


def test_a_forecast_that_is_worse_says_so(make: Make) -> None:
    outcome = make(500)
    _, *others = outcome.methods
    worse = Method("ensemble", "ensemble", outcome.wallclock_req * 3)
    said = verdict(document(replace(outcome, methods=(worse, *others))))
    assert "more error with the forecast" in said[0]
    assert "more error with the forecast" in said[1]


def test_without_requests_or_jobs_nothing_is_compared(make: Make) -> None:
    said = verdict(document(make(200, requests=False)))
    assert "no job states a request" in said[0]
    assert not any("% of the request" in sentence or "the request by" in sentence for sentence in said)
    assert verdict(document(make(0))) == ["No job was evaluated: the log is too short, or every job was left out."]
    assert "No job was evaluated" in printed(make(0))


def test_the_best_value_is_the_smallest_the_largest_or_the_nearest_to_what_was_promised() -> None:
    rows = [
        {"mae_h": 2.0, "ratio_accuracy": 0.4, "coverage_90": 0.99},
        {"mae_h": 1.0, "ratio_accuracy": 0.6, "coverage_90": 0.88},
        {"mae_h": None, "ratio_accuracy": None, "coverage_90": None},
    ]
    assert columns.MAE.best(rows) == "1.000"
    assert columns.RATIO.best(rows) == "0.600"
    assert columns.COVERAGE.best(rows) == "88.0"
    assert columns.WIDTH.best(rows) is None
    assert columns.MAE.best(rows[:1]) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.24, "1.2 h"), (0.25, "15 min"), (0.01, "36 s"), (150.0, "6 d 6 h"), (0.0, "0 s"), (None, "-")],
)
def test_hours_are_said_as_people_say_them(value: float | None, text: str) -> None:
    assert hours(value) == text


def test_rules_that_are_the_request_are_no_rules() -> None:
    """In a log that tells no users, every rule falls back to the request."""
    names = ("request", "last2", "user_mean")
    methods = [{"name": name, "kind": "baseline", "mae_h": 13.0} for name in names]
    assert best_baselines({"methods": methods}, 1) == []
    methods[1]["mae_h"] = 14.0
    assert [row["name"] for row in best_baselines({"methods": methods}, 2)] == ["last2"]
