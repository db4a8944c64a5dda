"""Streams of jobs: order, chunks, and what ends them."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from rtpredictor.v1.prediction_service_pb2 import PredictBatchRequest, PredictStreamRequest


class Sent:
    """Requests that a test sends one at a time; ``None`` ends the stream."""

    def __init__(self) -> None:
        self._queue: queue.Queue[PredictStreamRequest | None] = queue.Queue()

    def send(self, request: PredictStreamRequest | None) -> None:
        self._queue.put(request)

    def __iter__(self) -> Iterator[PredictStreamRequest]:
        return iter(self._queue.get, None)


def test_any_chunks_give_the_forecasts_of_one_batch_in_order(client: Any, job: Any) -> None:
    jobs = [job(nodes_req=n + 1, user=f"user{n % 3}") for n in range(60)]
    expected = list(client.prediction.PredictBatch(PredictBatchRequest(jobs=jobs)).results)
    for size in (1, 7, 60):
        chunks = [jobs[start : start + size] for start in range(0, 60, size)]
        responses = list(client.prediction.PredictStream(PredictStreamRequest(jobs=chunk) for chunk in chunks))
        assert [len(response.results) for response in responses] == [len(chunk) for chunk in chunks]
        assert [result for response in responses for result in response.results] == expected


def test_each_message_is_answered_before_the_next_is_sent(client: Any, job: Any) -> None:
    sent = Sent()
    responses = client.prediction.PredictStream(iter(sent), timeout=20)
    for nodes in range(1, 4):
        sent.send(PredictStreamRequest(jobs=[job()] * nodes))
        assert len(next(responses).results) == nodes
    sent.send(None)
    assert list(responses) == []


def test_a_stream_without_messages_is_an_empty_answer(client: Any) -> None:
    assert list(client.prediction.PredictStream(iter([]))) == []


def test_bad_rows_get_their_own_errors(client: Any, job: Any) -> None:
    requests = [PredictStreamRequest(jobs=[job(), job(nodes_req=0)]), PredictStreamRequest(jobs=[job()])]
    kinds = [
        [result.WhichOneof("result") for result in response.results]
        for response in client.prediction.PredictStream(iter(requests))
    ]
    assert kinds == [["forecast", "error"], ["forecast"]]


@pytest.mark.parametrize(
    ("field", "values"), [("oneof", {"jobs": []}), ("risk", {"risk": 0.9}), ("jobs", {"jobs": 501})]
)
def test_a_bad_message_ends_the_stream_after_what_was_answered(
    client: Any, job: Any, refusal: Any, field: str, values: dict[str, Any]
) -> None:
    jobs = values.get("jobs", 1)
    bad = PredictStreamRequest(jobs=[job()] * jobs if isinstance(jobs, int) else jobs, risk=values.get("risk"))
    responses = client.prediction.PredictStream(iter([PredictStreamRequest(jobs=[job()]), bad]))
    assert len(next(responses).results) == 1
    refused = refusal(lambda: next(responses))
    assert (refused.code, set(refused.fields)) == ("INVALID_ARGUMENT", {field})


def test_a_cancelled_stream_ends_on_the_server_and_frees_its_place(served: Any, job: Any, until: Any) -> None:
    with served(max_streams=1) as client:
        open_streams = 'rtpredictor_requests_in_flight{rpc="PredictStream"}'
        for _ in range(3):
            sent = Sent()
            responses = client.prediction.PredictStream(iter(sent))
            sent.send(PredictStreamRequest(jobs=[job()]))
            next(responses)
            assert client.value(open_streams) == 1
            responses.cancel()
            sent.send(None)
            until(lambda: client.value(open_streams) == 0, "the stream to end")


def test_more_streams_than_the_limit_are_refused_and_calls_still_answered(served: Any, job: Any, refusal: Any) -> None:
    with served(max_streams=1) as client:
        sent = Sent()
        first = client.prediction.PredictStream(iter(sent))
        sent.send(PredictStreamRequest(jobs=[job()]))
        next(first)
        refused = refusal(lambda: next(client.prediction.PredictStream(iter([]))))
        assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "TOO_MANY_STREAMS")
        assert "RT_PREDICTOR_MAX_STREAMS" in refused.parts["remedy"]
        assert client.value('rtpredictor_calls_refused_total{reason="too_many_streams"}') == 1
        assert client.prediction.PredictBatch(PredictBatchRequest(jobs=[job()])).results
        sent.send(None)
        assert list(first) == []
        assert list(client.prediction.PredictStream(iter([]))) == []


def test_a_deadline_ends_a_stream(client: Any, job: Any) -> None:
    sent = Sent()
    responses = client.prediction.PredictStream(iter(sent), timeout=2)
    sent.send(PredictStreamRequest(jobs=[job()]))
    next(responses)
    with pytest.raises(grpc.RpcError) as caught:
        next(responses)
    sent.send(None)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
