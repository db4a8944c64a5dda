"""Links that can be shared: there and back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from rt_predictor_formats.sbatch import JobRequest
from rt_predictor_formats.times import LONGEST, parse_duration
from rt_predictor_ui.link import COLUMNS, RISK, from_query, risk_from, to_query

REQUESTS = st.builds(
    JobRequest,
    user=st.none() | st.text("abcä+&= ", min_size=1).filter(str.strip).map(str.strip),
    wallclock_req=st.none() | st.integers(1, LONGEST),
    nodes_req=st.none() | st.integers(1, 1_000_000),
    gpus_req=st.none() | st.integers(0, 1_000_000),
    mem_req=st.none() | st.integers(1, 10**9).map(float),
)


@given(REQUESTS, st.integers(1, 50))
def test_a_link_fills_the_form_with_what_it_was_made_of(request_: JobRequest, percent: int) -> None:
    query = to_query(request_, percent / 100)
    values, problems = from_query(query)
    assert problems == []
    assert risk_from(query) == percent / 100
    assert values.get("user") == request_.user
    assert (values.get("nodes_req"), values.get("gpus_req")) == (request_.nodes_req, request_.gpus_req)
    assert parse_duration(str(values.get("wallclock_req", ""))) == request_.wallclock_req


@given(st.dictionaries(st.sampled_from([*COLUMNS, RISK, "utm"]), st.text(max_size=30)))
def test_no_link_breaks_the_page(query: dict[str, str]) -> None:
    values, problems = from_query(query)
    assert set(values) <= set(COLUMNS.values())
    assert all(problem.place.startswith("?") and problem.remedy for problem in problems)
    assert risk_from(query) is None or 0.01 <= risk_from(query) <= 0.5


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "many", "99999999", "²"])
def test_a_count_that_is_none_is_named(text: str) -> None:
    values, problems = from_query({"nodes": text, "user": "ada"})
    assert values == {"user": "ada"}
    assert [(problem.code, problem.place) for problem in problems] == [("COUNT_INVALID", "?nodes=")]


def test_an_address_fills_the_form_and_a_prediction_writes_one(opened: AppTest, field: Any, press: Any) -> None:
    opened.query_params = {"user": "ada", "time": "1-00:00:00", "nodes": "2", "risk": "0.05"}
    opened.run()
    assert (field(opened, "User").value, field(opened, "Requested time").value) == ("ada", "1-00:00:00")
    assert field(opened, "Nodes").value == 2
    field(opened, "Nodes").set_value(3)
    press(opened, "Predict")
    assert field(opened, "Nodes").value == 3
    assert opened.query_params == {"user": "ada", "time": "1-00:00:00", "nodes": "3", "risk": "0.05"}


def test_what_an_address_says_wrongly_is_told_and_the_rest_is_used(opened: AppTest, field: Any, words: Any) -> None:
    opened.query_params = {"user": "ada", "time": "tomorrow"}
    opened.run()
    assert field(opened, "User").value == "ada"
    assert "'tomorrow' is no duration" in words(opened)
    assert "(?time=)" in words(opened)
