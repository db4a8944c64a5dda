"""The contract's validation rules are the canonical schema's bounds: a job that training takes is taken in serving."""

from __future__ import annotations

from typing import Any

import pytest
from buf.validate import validate_pb2

from rt_predictor_core.schema import BY_NAME, COLUMNS, LATEST_TIME, STATES
from rtpredictor.v1 import job_pb2, prediction_service_pb2

FIELDS = job_pb2.Job.DESCRIPTOR.fields_by_name
AT_SUBMIT = [column for column in COLUMNS if column.at_submit]
TEXT = [column for column in AT_SUBMIT if column.unit == "text"]
TIME = [column for column in AT_SUBMIT if column.unit == "time"]
NUMBERS = [column for column in AT_SUBMIT if column.unit not in {"text", "time"}]


def rules(field: Any) -> validate_pb2.FieldRules:
    return field.GetOptions().Extensions[validate_pb2.field]


def test_a_job_has_exactly_the_columns_that_are_known_at_submit() -> None:
    assert {column.name for column in AT_SUBMIT} == set(FIELDS)


@pytest.mark.parametrize("column", TEXT, ids=lambda column: column.name)
def test_texts_have_the_length_of_the_schema(column: Any) -> None:
    assert rules(FIELDS[column.name]).string.max_len == column.high


@pytest.mark.parametrize("column", NUMBERS, ids=lambda column: column.name)
def test_numbers_have_the_bounds_of_the_schema(column: Any) -> None:
    field = FIELDS[column.name]
    kind = rules(field).WhichOneof("type")
    bounds = getattr(rules(field), kind)
    # an unsigned number cannot lie below 0, so that no rule has to say it
    low = bounds.gte if bounds.HasField("gte") else {"uint32": 0}[kind]
    assert (low, bounds.lte) == (column.low, column.high)


@pytest.mark.parametrize("column", NUMBERS, ids=lambda column: column.name)
def test_an_absent_number_is_told_from_zero(column: Any) -> None:
    assert FIELDS[column.name].has_presence


@pytest.mark.parametrize(
    "field",
    [
        *(FIELDS[column.name] for column in TIME),
        job_pb2.JobEvent.DESCRIPTOR.fields_by_name["start_time"],
        job_pb2.JobEvent.DESCRIPTOR.fields_by_name["end_time"],
    ],
    ids=lambda field: field.name,
)
def test_times_have_the_bounds_of_the_schema(field: Any) -> None:
    bounds = rules(field).timestamp
    assert (bounds.gte.seconds, bounds.lt.seconds) == (0, LATEST_TIME)


def test_the_states_of_the_contract_are_states_of_the_schema() -> None:
    told = {value.name.removeprefix("JOB_STATE_") for value in job_pb2.JobState.DESCRIPTOR.values} - {"UNSPECIFIED"}
    # an event says by its end_time whether the job still runs
    assert told == set(STATES) - {"PENDING", "RUNNING"}


def test_a_job_may_have_run_as_long_as_the_schema_lets_a_run_time_be() -> None:
    field = prediction_service_pb2.PredictRemainingRequest.DESCRIPTOR.fields_by_name["elapsed_seconds"]
    bounds, column = rules(field), BY_NAME["run_time"]
    assert (bounds.double.gte, bounds.double.lte, bounds.required) == (column.low, column.high, True)
