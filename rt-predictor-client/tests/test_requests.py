"""Values become messages and come back; what cannot is a problem that names its field."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_predictor_client.requests import JOB_COLUMNS, RowError, event_message, forecast, job_message, problem_error
from rt_predictor_formats.errors import Problem
from rt_predictor_formats.sbatch import JobRequest
from rtpredictor.v1 import forecast_pb2, job_pb2

COUNTS = st.none() | st.integers(0, 2**32 - 1)
TEXTS = st.none() | st.text(st.characters(exclude_categories=["Cs"]))
JOBS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("user", "partition", "qos", "account", "name", "work_dir", "submit_line", "job_id"), TEXTS),
        **dict.fromkeys(("wallclock_req", "nodes_req", "processors_req", "gpus_req"), COUNTS),
        "mem_req": st.none() | st.floats(0, 1e12),
    },
)
ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.lists(st.integers())


@given(JOBS)
def test_every_value_arrives_and_nothing_else_is_set(job: dict[str, Any]) -> None:
    message = job_pb2.Job.FromString(job_message(job).SerializeToString())
    # proto3 does not tell an empty text from none
    assert {field.name: value for field, value in message.ListFields()} == {
        name: value for name, value in job.items() if value is not None and value != ""
    }


@given(st.dictionaries(st.sampled_from([*JOB_COLUMNS, "nonesuch"]), ANYTHING))
def test_any_value_makes_a_message_or_a_problem_of_its_field(job: dict[str, Any]) -> None:
    try:
        assert isinstance(job_message(job), job_pb2.Job)
    except Problem as problem:
        assert problem.place in job  # noqa: PT017 - nothing else may be raised
        assert problem.code in {"FIELD_INVALID", "FIELD_UNKNOWN"}  # noqa: PT017


def test_zero_is_a_value_and_none_is_not() -> None:
    assert job_message({"gpus_req": 0}).HasField("gpus_req")
    assert not job_message({"gpus_req": None}).HasField("gpus_req")


def test_a_request_read_from_a_script_is_a_job() -> None:
    request = JobRequest(user="ada", wallclock_req=3600, mem_req=512.0)
    assert job_message(request) == job_pb2.Job(user="ada", wallclock_req=3600, mem_req=512.0)
    assert set(asdict(request)) <= set(JOB_COLUMNS)


@pytest.mark.parametrize(
    "moment",
    [
        1_700_000_000,
        1_700_000_000.0,
        "1700000000",
        "2023-11-14T22:13:20",
        "2023-11-14T23:13:20+01:00",
        datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
        datetime(2023, 11, 14, 23, 13, 20, tzinfo=timezone(timedelta(hours=1))),
    ],
)
def test_times_are_taken_in_every_form(moment: object) -> None:
    assert job_message({"submit_time": moment}).submit_time.ToDatetime(UTC) == datetime.fromtimestamp(
        1_700_000_000, UTC
    )


def test_a_job_that_runs_has_neither_end_nor_state() -> None:
    event = event_message({"job_id": "1", "submit_time": 5, "start_time": 9, "end_time": None, "state": "RUNNING"})
    assert not event.HasField("end_time")
    assert event.state == job_pb2.JOB_STATE_UNSPECIFIED


def test_a_job_that_waits_has_neither_start_nor_end_and_one_that_never_ran_an_end_alone() -> None:
    waits = event_message({"job_id": "1", "submit_time": 5, "start_time": None, "end_time": None, "state": "PENDING"})
    gone = event_message({"job_id": "1", "submit_time": 5, "start_time": None, "end_time": 9, "state": "CANCELLED"})
    assert [waits.HasField("start_time"), waits.HasField("end_time"), waits.state] == [False, False, 0]
    assert [gone.HasField("start_time"), gone.end_time.seconds] == [False, 9]
    assert gone.state == job_pb2.JOB_STATE_CANCELLED


def test_an_ended_job_has_both_and_its_cluster() -> None:
    event = event_message({"cluster": "eagle", "job_id": "1", "start_time": 9, "end_time": 10, "state": "timeout"})
    assert (event.cluster, event.end_time.seconds, event.state) == ("eagle", 10, job_pb2.JOB_STATE_TIMEOUT)


@pytest.mark.parametrize(("field", "value"), [("state", "EXPLODED"), ("start_time", "soon"), ("color", "red")])
def test_a_bad_event_is_named_by_its_field(field: str, value: str) -> None:
    with pytest.raises(Problem) as caught:
        event_message({"job_id": "1", field: value})
    assert caught.value.place == field


def test_a_word_of_a_newer_service_is_shown_as_its_number() -> None:
    message = forecast_pb2.Forecast(median_seconds=1)
    message.MergeFromString(b"\x38\x63\x48\x62")  # tier = 99, degraded = 98
    assert (forecast(message).tier, forecast(message).degraded) == ("99", "98")


def test_a_forecast_without_words_is_not_degraded() -> None:
    values = forecast(forecast_pb2.Forecast(tier=forecast_pb2.HISTORY_TIER_NONE))
    assert (values.tier, values.degraded, values.probability_exceeds_request) == ("none", None, None)


def test_a_row_that_was_not_sent_says_why_in_one_line() -> None:
    error = problem_error(Problem("X", "bad", place="time", remedy="mend it"), 3)
    assert error == RowError(3, (("time", "bad; mend it"),))
    assert str(error) == "time: bad; mend it"
