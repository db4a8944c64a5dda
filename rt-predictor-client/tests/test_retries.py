"""What may be sent twice is tried again where nothing answers; nothing else is, and nothing without end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from google.rpc import code_pb2, status_pb2

from rt_predictor_client import errors
from rt_predictor_client.channel import SERVICE_CONFIG
from rt_predictor_client.client import Client

JOB = {"user": "ada", "wallclock_req": 7200}
EVENT = {**JOB, "job_id": "1", "submit_time": 1000, "start_time": 1100, "end_time": 1200, "state": "COMPLETED"}
CALLS: dict[str, Callable[[Client], Any]] = {
    "Predict": lambda client: client.predict(JOB),
    "PredictRemaining": lambda client: client.predict_remaining(JOB, 60),
    "PredictBatch": lambda client: client.predict_arrow(b"rows"),
    "PredictStream": lambda client: list(client.predict_many([JOB] * 3)),
    "ReportJobs": lambda client: client.report([EVENT]),
    "GetModel": lambda client: client.model(),
    "ListModels": lambda client: client.models(),
}
ATTEMPTS = SERVICE_CONFIG["methodConfig"][0]["retryPolicy"]["maxAttempts"]


@pytest.mark.parametrize("method", CALLS)
def test_unavailable_is_tried_again(client: Client, peer: Any, method: str) -> None:
    peer.failures = [status_pb2.Status(code=code_pb2.UNAVAILABLE)] * 2
    assert CALLS[method](client)
    assert peer.calls == {method: 3}


def test_a_service_that_stays_unavailable_is_asked_five_times(client: Client, peer: Any) -> None:
    peer.refuse(code_pb2.UNAVAILABLE)
    with pytest.raises(errors.Unreachable):
        client.predict(JOB)
    assert peer.calls == {"Predict": ATTEMPTS} == {"Predict": 5}


@pytest.mark.parametrize("name", ["RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "INTERNAL", "ABORTED", "UNKNOWN"])
def test_what_was_answered_is_not_asked_again(client: Client, peer: Any, name: str) -> None:
    peer.failures = [status_pb2.Status(code=code_pb2.Code.Value(name))]
    with pytest.raises(errors.ClientError):
        client.report([EVENT])
    assert peer.calls == {"ReportJobs": 1}


def test_a_stream_that_was_answered_in_part_is_not_sent_again(client: Client, peer: Any) -> None:
    peer.fail_from_message = 1
    peer.refuse(code_pb2.UNAVAILABLE)
    answers = client.predict_many([JOB] * 3, chunk_rows=1)
    assert next(answers)
    with pytest.raises(errors.Unreachable):
        list(answers)
    assert peer.calls == {"PredictStream": 1}


def test_a_report_of_many_messages_is_sent_again_whole(client: Client, peer: Any) -> None:
    # more than the 256 KiB that gRPC keeps by itself
    events = [{**EVENT, "job_id": str(n), "submit_line": "x" * 2000} for n in range(600)]
    peer.failures = [status_pb2.Status(code=code_pb2.UNAVAILABLE)]
    assert client.report(events).accepted == 600
    assert peer.calls == {"ReportJobs": 2}
