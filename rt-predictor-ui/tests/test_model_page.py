"""The page of the model's performance, through its launcher, against a real server."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

Words = Callable[[AppTest], str]


@pytest.fixture
def model(show: Callable[[str], AppTest]) -> AppTest:
    return show("model")


def tables(page: AppTest) -> list[Any]:
    return [element.value for kind in ("dataframe", "table") for element in page.get(kind)]


def table_with(page: AppTest, column: str) -> Any:
    return next(table for table in tables(page) if column in table.columns)


def test_the_current_model_and_its_scores_are_shown(model: AppTest, words: Words) -> None:
    assert "Published 2026-01-01, trained on 100,000 jobs submitted 2025-06-15 to 2025-10-09, profile quick." in (
        words(model)
    )
    assert {metric.label: metric.value for metric in model.metric} == {
        "Mean error": "1.50 h",
        "Median error": "9.0 min",
        "90 % band covers": "91 %",
        "Width of the band": "7.00 h",
    }
    scores = table_with(model, "Kind")
    assert list(scores["Kind"]) == ["the forecast", "member", "baseline"]
    assert list(scores["90 % band covers"]) == ["91 %", "-", "-"]


def test_the_dial_and_the_weights_are_shown(model: AppTest) -> None:
    dial = table_with(model, "Accepted risk")
    assert list(dial["Killed, measured"]) == ["4.6 %", "24 %"]
    assert list(dial["Recommended to requested"]) == ["82 %", "-"]
    assert list(table_with(model, "Weight")["Weight"]) == ["0.60", "0.40"]


def test_charts_say_what_they_show(model: AppTest) -> None:
    said = [json.loads(chart.proto.spec)["description"] for chart in model.get("vega_lite_chart")]
    assert said[:2] == [
        "Mean error by method. ensemble: 1.50 h; xgboost: 1.60 h; request: 6.00 h.",
        "Accepted risk and what it led to. 5 %: 4.6 %; 25 %: 24 %.",
    ]


def test_bars_are_of_fields_that_vega_can_find(model: AppTest) -> None:
    bars = json.loads(model.get("vega_lite_chart")[0].proto.spec)
    fields = {bars["encoding"][channel]["field"] for channel in ("x", "y")}
    assert not any(mark in field for field in fields for mark in "[].")  # Vega would look for parts of a field


def test_what_is_not_told_of_a_version_is_not_shown(model: AppTest, field: Any, words: Words) -> None:
    field(model, "Version").set_value("20250101T000000Z-00000000").run()
    assert "The service tells no scores of this model." in words(model)
    assert "was not measured for this model" in words(model)
    assert not model.metric
    assert not model.get("vega_lite_chart")


def test_versions_are_listed_compared_and_rolled_back_to(model: AppTest, field: Any, words: Words) -> None:
    assert list(table_with(model, "Answers now")["Answers now"]) == ["yes", ""]
    assert "rt-predictor-train --rollback 20250101T000000Z-00000000" in words(model)
    field(model, "Compare with").set_value("20250101T000000Z-00000000").run()
    compared = table_with(model, "20260101T000000Z-00000000")
    assert list(compared["20250101T000000Z-00000000"])[:2] == ["?", "7"]
    assert "its own log" in words(model)


def test_one_version_has_nothing_to_go_back_to(show: Any, peer: Any, words: Words) -> None:
    del peer.models[1]
    page = show("model")
    assert "there is no version older than the one that answers now" in words(page)
    assert "Compare with" not in [box.label for box in page.selectbox]


def test_a_service_that_is_away_or_has_no_model_is_said(show: Any, peer: Any, words: Words) -> None:
    peer.stop()
    page = show("model")
    assert "There is nothing to show until the service answers" in words(page)
    peer.start()
    deadline = time.monotonic() + 30
    while "Published" not in words(page):
        assert time.monotonic() < deadline
        page.run()
    peer.models.clear()
    assert "The service has no model yet" in words(page.run())


def test_every_page_has_its_title_and_the_state_of_the_service(show: Any, words: Words) -> None:
    for path, title in (
        ("", "How long will"),
        ("batch", "Forecast many jobs"),
        ("model", "Model performance"),
        ("history", "History"),
        ("analytics", "Analytics"),
    ):
        page = show(path)
        assert page.title[0].value.startswith(title)
        assert "The service answers with a model of 100,000 jobs." in words(page)
