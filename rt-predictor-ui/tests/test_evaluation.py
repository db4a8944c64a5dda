"""How a model did part by part, on the page of models."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

Words = Callable[[AppTest], str]
OLDER = "20250101T000000Z-00000000"


@pytest.fixture
def model(show: Callable[[str], AppTest]) -> AppTest:
    return show("model")


def table_with(page: AppTest, column: str) -> Any:
    tables = [element.value for kind in ("dataframe", "table") for element in page.get(kind)]
    return next((table for table in tables if column in table.columns), None)


def described(page: AppTest) -> list[str]:
    return [json.loads(chart.proto.spec)["description"] for chart in page.get("vega_lite_chart")]


def test_months_come_first_and_other_parts_by_choice(model: AppTest, words: Words) -> None:
    assert "30,000 jobs submitted 2025-09-04 to 2025-10-09" in words(model)
    table = table_with(model, "Jobs of")
    assert list(table["Jobs of"]) == ["2025-09", "2025-10"]
    assert list(table["Mean error, request"]) == ["5.60 h", "6.80 h"]
    model.segmented_control[0].set_value("By run time").run()
    assert list(table_with(model, "Jobs of")["90 % band covers"]) == ["95 %", "70 %"]
    model.segmented_control[0].set_value("By week").run()
    assert "Nothing is told of these parts" in words(model)


def test_pictures_say_what_they_show(model: AppTest) -> None:
    said = described(model)
    assert (
        "Mean error by part. 2025-09: the forecast 1.40 h, request 5.60 h, last two jobs 2.80 h; "
        "2025-10: the forecast 1.70 h, request 6.80 h, last two jobs 3.40 h." in said
    )
    assert "Share of jobs inside the 90 % band. 2025-09: 92 %; 2025-10: 89 %." in said
    assert "Quantiles, nominal and measured. 50 %: 52 %; 95 %: 94 %." in said
    assert "What ensemble rests on. log_request: 75 %." in said


def test_each_member_tells_what_it_rests_on(model: AppTest, field: Any) -> None:
    field(model, "Member").set_value("xgboost").run()
    assert "What xgboost rests on. hour: 100 %." in described(model)
    assert list(table_with(model, "Tells")["Tells"]) == ["hour and day of the submission"]


def test_two_versions_are_compared_part_by_part(model: AppTest, peer: Any, field: Any) -> None:
    field(model, "Compare with").set_value(OLDER).run()
    assert not any(box.label == "Compare" for box in model.selectbox), "one of them tells nothing"
    peer.evaluations[OLDER] = peer.evaluations["20260101T000000Z-00000000"]
    import streamlit

    streamlit.cache_resource.clear()
    model.run()
    field(model, "Compare").set_value("By run time").run()
    table = table_with(model, f"mean error, {OLDER}")
    assert list(table[f"mean error, {OLDER}"]) == ["0.50 h", "9.00 h"]


def test_it_is_asked_once_although_the_page_looks_again(model: AppTest, peer: Any) -> None:
    model.run()
    model.run()
    assert peer.evaluated == ["20260101T000000Z-00000000"]


def test_a_service_or_a_model_without_it_says_so(show: Any, peer: Any, field: Any, words: Words) -> None:
    peer.evaluations = None
    page = show("model")
    assert "The service tells no more of this model" in words(page)
    peer.evaluations = {}
    field(page, "Version").set_value(OLDER).run()
    assert "The service tells no more of this model" in words(page)
