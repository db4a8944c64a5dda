"""What may be sent twice is tried again where nothing answers; nothing else is, and nothing without end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from google.rpc import code_pb2, status_pb2

from rt_predictor_client import errors
from rt_predictor_client.channel import SERVICE_CONFIG
from rt_predictor_client.client import Client
from rt_predictor_client.requests import Forecast, RowError

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
    "GetEvaluation": lambda client: client.evaluation(),
    "ListJobs": lambda client: client.jobs_page("ada"),
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


def test_a_stream_that_breaks_off_goes_on_where_it_was(client: Client, peer: Any) -> None:
    jobs: list[dict[str, Any]] = [{"wallclock_req": 60 + n} for n in range(12)]
    jobs[5], jobs[11] = {"colour": "red"}, {"wallclock_req": "soon"}
    peer.fail_from_message = 1
    peer.refuse(code_pb2.UNAVAILABLE)
    answers = list(client.predict_many(jobs, chunk_rows=2))
    assert [answer.position for answer in answers if isinstance(answer, RowError)] == [5, 11]
    told = [answer.median_seconds for answer in answers if isinstance(answer, Forecast)]
    assert told == [(60 + n) / 2 for n in range(12) if n not in {5, 11}]
    # one message of each call was answered, and none of them twice
    assert [len(request.jobs) for request in peer.requests] == [2, 2, 1, 2, 2, 1]
    assert peer.calls == {"PredictStream": 6}


def test_a_stream_of_arrow_that_breaks_off_goes_on_where_it_was(client: Client, peer: Any) -> None:
    payloads = [bytes([number, 0]) for number in range(6)]
    peer.fail_from_message = 2
    peer.refuse(code_pb2.UNAVAILABLE)
    assert list(client.predict_arrow_many(payloads)) == [payload[::-1] for payload in payloads]
    # two messages of each call were answered, and none of them twice
    assert [request.arrow_jobs for request in peer.requests] == payloads
    assert peer.calls["PredictStream"] >= 3


@pytest.mark.parametrize("kind", ["PredictStream", "ReportJobs"])
def test_no_message_of_a_stream_is_lost_when_it_is_tried_again(client: Client, peer: Any, kind: str) -> None:
    # larger than the transport's buffers: one is on its way when the first try ends. Under load gRPC loses one in five
    large = [bytes([number]) * 300_000 for number in range(8)]
    for trial in range(20):
        peer.failures = [status_pb2.Status(code=code_pb2.UNAVAILABLE)]
        if kind == "PredictStream":
            assert [answer[0] for answer in client.predict_arrow_many(large)] == list(range(8))
        else:
            events = [{**EVENT, "job_id": f"{trial}-{n}", "submit_line": "x" * 2000} for n in range(600)]
            assert client.report(events).accepted == 600
    assert peer.calls == {kind: 40}


def test_a_stream_that_gets_no_further_ends(client: Client, peer: Any) -> None:
    refused = threading.Event()

    def jobs() -> Iterator[dict[str, Any]]:
        yield JOB
        assert refused.wait(30)
        yield JOB

    answers = client.predict_many(jobs(), chunk_rows=1)
    assert next(answers)
    peer.refuse(code_pb2.UNAVAILABLE)
    refused.set()
    with pytest.raises(errors.Unreachable):
        list(answers)


def test_a_stream_that_is_refused_is_not_sent_again(client: Client, peer: Any) -> None:
    peer.fail_from_message = 1
    peer.refuse(code_pb2.RESOURCE_EXHAUSTED)
    with pytest.raises(errors.TooMuch):
        list(client.predict_many([JOB] * 3, chunk_rows=1))
    with pytest.raises(errors.TooMuch):
        list(client.predict_arrow_many([b"rows"] * 3))
    assert peer.calls == {"PredictStream": 2}


def test_a_report_of_many_messages_is_sent_again_whole(client: Client, peer: Any) -> None:
    # more than the 256 KiB that gRPC keeps by itself
    events = [{**EVENT, "job_id": str(n), "submit_line": "x" * 2000} for n in range(600)]
    peer.failures = [status_pb2.Status(code=code_pb2.UNAVAILABLE)]
    assert client.report(events).accepted == 600
    assert peer.calls == {"ReportJobs": 2}
