"""What moves a forecast, on the page of one job."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from rtpredictor.v1 import forecast_pb2

Words = Callable[[AppTest], str]


@pytest.fixture
def answered(page: AppTest, field: Any, press: Any) -> AppTest:
    field(page, "User").input("ada")
    return press(page, "Predict")


def why(page: AppTest, field: Any) -> AppTest:
    return field(page, "Why: what moves this forecast").set_value(True).run()


def test_it_is_asked_for_alone_and_once(answered: AppTest, peer: Any, field: Any, words: Words) -> None:
    assert [request.explain for request in peer.requests] == [False]
    why(answered, field)
    assert [request.explain for request in peer.requests] == [False, True]
    assert "A typical job takes 4 h. What is known of this one moves that to 5 h" in words(answered)
    field(answered, "Accepted risk that the recommended time is too short").set_value(20).run()
    assert [request.explain for request in peer.requests] == [False, True, False]
    assert "A typical job takes 4 h" in words(answered)


def test_parts_are_told_in_minutes_as_picture_and_as_table(answered: AppTest, field: Any) -> None:
    why(answered, field)
    table = next(element.value for element in answered.get("table") if "Minutes" in element.value.columns)
    rows = list(zip(table["What"], table["Minutes"], strict=True))
    assert rows[0] == ("a typical job", "240.0")
    assert rows[1] == ("the requested time", "+90.0")
    assert rows[-1] == ("this job", "300.0")
    assert sum(float(minutes) for _, minutes in rows[:-1]) == float(rows[-1][1])
    spec = json.loads(answered.get("vega_lite_chart")[-1].proto.spec)
    assert spec["description"] == (
        "What moves the forecast, in minutes. the requested time: +90.0; what this user ran lately: -30.0; "
        "nodes, processors, GPUs, memory: +0.0."
    )


@pytest.mark.parametrize(
    ("explanation", "said"),
    [
        (None, "does not explain its forecasts"),
        (forecast_pb2.Explanation(unexplained=forecast_pb2.UNEXPLAINED_REASON_NO_BASELINE), "kept no typical job"),
    ],
)
def test_a_service_or_a_model_that_cannot_say_why_is_named(
    answered: AppTest, peer: Any, field: Any, words: Words, explanation: Any, said: str
) -> None:
    peer.explanation = explanation
    assert said in words(why(answered, field))


def test_a_service_that_goes_away_takes_no_answer_with_it(
    answered: AppTest, peer: Any, field: Any, words: Words
) -> None:
    peer.stop()
    said = words(why(answered, field))
    assert "About 5 h" in said
    assert "No service answers" in said
