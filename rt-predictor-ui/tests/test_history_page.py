"""The page of reported jobs, through its launcher, against a real server."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf import timestamp_pb2
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from rt_predictor_client.listing import JobForecast, JobRecord
from rt_predictor_ui.history_facts import followed
from rtpredictor.v1 import forecast_pb2, history_service_pb2, job_pb2

Words = Callable[[AppTest], str]
BEGIN = 1_760_000_000


def record(number: int, user: str = "ada", ran: float | None = 3600, median: float | None = 1800) -> Any:
    """Return a job that requested two hours, its band from half to three times the median."""
    said = None
    if median is not None:
        interval = forecast_pb2.Interval(lower_seconds=median / 2, upper_seconds=3 * median, nominal_coverage=0.9)
        said = history_service_pb2.JobForecast(median_seconds=median, interval=interval, model_version="v")
    return history_service_pb2.JobRecord(
        job=job_pb2.Job(
            user=user,
            name=f"run_{number}",
            job_id=str(number),
            wallclock_req=7200,
            submit_time=timestamp_pb2.Timestamp(seconds=BEGIN - 60 * number),
        ),
        state=job_pb2.JOB_STATE_COMPLETED if ran is not None else job_pb2.JOB_STATE_UNSPECIFIED,
        run_seconds=ran,
        forecast=said,
    )


@pytest.fixture
def history(peer: Any, show: Callable[[str], AppTest]) -> AppTest:
    peer.listed = [record(1), record(2, "bob", 600, 1800), record(3, "bob", None, None)]
    return show("history")


def figures(page: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in page.metric}


def test_jobs_stand_with_what_they_requested_took_and_were_forecast(history: AppTest) -> None:
    table = history.dataframe[0].value
    assert list(table["Job"]) == ["1", "2", "3"]
    assert list(table["Requested"]) == ["02:00:00"] * 3
    assert list(table["Ran"]) == ["1 h", "10 min", "-"]
    assert list(table["Forecast"]) == ["30 min", "30 min", "-"]
    assert list(table["In the band"]) == ["yes", "no", "-"]
    assert list(table["State"]) == ["completed", "completed", "waits"]
    assert "Account" not in table.columns
    assert figures(history) == {
        "Jobs on this page": "3",
        "Mean error": "0.42 h",
        "Ended in the band": "50 %",
        "Used of the requested time": "29.2 %",
    }
    (chart,) = history.get("vega_lite_chart")
    assert json.loads(chart.proto.spec)["description"] == (
        "3 jobs by submission: requested, forecast with its band, and run time. 2 of them can be compared: "
        "mean error 0.42 h, inside the band 50 %."
    )


def test_a_user_is_asked_for(history: AppTest, field: Any, words: Words) -> None:
    field(history, "User").input("bob").run()
    assert list(history.dataframe[0].value["Job"]) == ["2", "3"]
    field(history, "User").input("nobody").run()
    assert "No such jobs were reported." in words(history)


def test_pages_are_turned_and_begin_anew_with_another_user(history: AppTest, peer: Any, press: Any, field: Any) -> None:
    peer.listed = [record(number, "ada" if number < 120 else "bob") for number in range(130)]
    history.run()
    press(history, "Older jobs")
    press(history, "Older jobs")
    assert list(history.dataframe[0].value["Job"]) == [str(number) for number in range(100, 130)]
    assert not any(button.label == "Older jobs" for button in history.button)
    press(history, "Newer jobs")
    assert history.dataframe[0].value["Job"][0] == "50"
    field(history, "User").input("bob").run()
    assert list(history.dataframe[0].value["Job"]) == [str(number) for number in range(120, 130)]
    assert not any(button.label in {"Older jobs", "Newer jobs"} for button in history.button)


def test_a_site_that_hides_names_is_not_asked_for_any(peer: Any, show: Any, words: Words) -> None:
    peer.listed, peer.privacy = [record(1, "")], history_service_pb2.PRIVACY_HIDE
    page = show("history")
    assert "The site tells no names" in words(page)
    assert not page.text_input
    assert "User" not in page.dataframe[0].value.columns


def test_hashes_are_asked_for_as_they_are_shown(peer: Any, show: Any, field: Any) -> None:
    peer.listed, peer.privacy = [record(1, "h1"), record(2, "h2")], history_service_pb2.PRIVACY_HASH
    page = show("history")
    field(page, "User").input("h2").run()
    assert list(page.dataframe[0].value["User"]) == ["h2"]
    assert "hashes" in field(page, "User").help


def test_whom_a_proxy_names_sees_names_of_nobody_else(
    peer: Any, show: Any, words: Words, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rt_predictor_ui.pages import history

    peer.listed = [record(1), record(2, "bob")]
    monkeypatch.setattr(history, "visitor", lambda: "bob")  # AppTest has no connection with headers
    page = show("history")
    assert "Your jobs, **bob**" in words(page)
    assert list(page.dataframe[0].value["User"]) == ["bob"]
    assert [box.label for box in page.text_input] == ["Account"]


def test_what_is_away_of_another_release_or_not_allowed_is_said(peer: Any, show: Any, words: Words) -> None:
    peer.listed = None
    page = show("history")
    assert "The service lists no jobs" in words(page)
    peer.stop()
    assert "There is nothing to show until the service answers" in words(page.run())


jobs = st.builds(
    lambda ran, asked, median: JobRecord(
        *[""] * 8,
        asked,
        *[None] * 4,
        *[None] * 4,
        ran,
        median and JobForecast(median, median / 2, 2 * median, 0.9, "", ""),
    ),
    st.none() | st.floats(1, 1e6),
    st.none() | st.integers(1, 10**6),
    st.none() | st.floats(1, 1e6),
)


@given(some=st.lists(jobs, max_size=20))
def test_figures_are_of_the_jobs_that_tell_them(some: list[JobRecord]) -> None:
    found = followed(some)
    both = [job for job in some if job.run_seconds is not None and job.forecast is not None]
    assert found.compared == len(both)
    assert (found.inside is None) == (found.mean_error_hours is None) == (not both)
    assert found.inside is None or 0 <= found.inside <= 1
    assert (found.used is None) == all(job.run_seconds is None or job.wallclock_req is None for job in some)
