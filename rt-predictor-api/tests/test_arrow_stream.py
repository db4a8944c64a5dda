"""Streams of Arrow: the forecasts of a batch, in chunks, and no more of them than somebody reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from threading import Event
from typing import Any

import grpc
import pyarrow as pa
import pytest

from rt_predictor_api.interceptors.rates import ROWS_PER_CALL
from rtpredictor.v1.prediction_service_pb2 import (
    PredictBatchRequest,
    PredictRequest,
    PredictStreamRequest,
    PredictStreamResponse,
)
from rtpredictor.v1.prediction_service_pb2_grpc import PredictionServiceStub

NOW = 1_700_000_000
OPEN = 'rtpredictor_requests_in_flight{rpc="PredictStream"}'
MADE = 'rtpredictor_forecasts_total{tier="none"}'


def encoded(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def decoded(data: bytes) -> pa.Table:
    return pa.ipc.open_stream(data).read_all()


def table(rows: int) -> pa.Table:
    """Return jobs of which no two are alike, some of them bad."""
    return pa.table(
        {
            "user": [f"user{n % 7}" if n % 9 else None for n in range(rows)],
            "name": [f"relax_{n % 11}" for n in range(rows)],
            "wallclock_req": [600 * (n % 200 + 1) if n % 5 else None for n in range(rows)],
            "nodes_req": [0 if n % 13 == 12 else n % 90 + 1 for n in range(rows)],
            "submit_time": pa.array([NOW + n for n in range(rows)], pa.timestamp("s", "UTC")),
        }
    )


def chunks(whole: pa.Table, rows: int) -> list[bytes]:
    return [encoded(whole.slice(first, rows)) for first in range(0, len(whole), rows)]


def asked(payloads: Sequence[bytes], **fields: Any) -> list[PredictStreamRequest]:
    return [PredictStreamRequest(arrow_jobs=payload, **fields) for payload in payloads]


def answers(client: Any, requests: Sequence[PredictStreamRequest], **options: Any) -> list[PredictStreamResponse]:
    return list(client.prediction.PredictStream(iter(requests), **options))


@pytest.mark.parametrize("rows", [1, 70, 600])
def test_chunks_of_any_size_are_to_the_bit_what_a_batch_says_row_errors_and_all(client: Any, rows: int) -> None:
    whole = table(120 if rows == 1 else 600)
    batch = client.prediction.PredictBatch(PredictBatchRequest(arrow_jobs=encoded(whole), risk=0.2))
    responses = answers(client, asked(chunks(whole, rows), risk=0.2))
    tables = [decoded(response.arrow_results) for response in responses]
    assert [len(one) for one in tables] == [min(rows, len(whole) - first) for first in range(0, len(whole), rows)]
    told, expected = pa.concat_tables(tables), decoded(batch.arrow_results)
    assert told.schema == expected.schema
    assert told.equals(expected)
    assert 0 < told["error"].null_count < len(whole)
    assert {response.model_version for response in responses} == {batch.model_version}
    assert not any(response.results for response in responses)


def test_rows_and_arrow_may_alternate(client: Any, job: Any) -> None:
    rows = PredictBatchRequest(jobs=[job(nodes_req=nodes) for nodes in (1, 0, 3)])
    columns = PredictBatchRequest(arrow_jobs=encoded(table(20)))
    expected = [client.prediction.PredictBatch(request) for request in (rows, columns)] * 3
    requests = asked([columns.arrow_jobs])
    responses = answers(client, [PredictStreamRequest(jobs=rows.jobs), *requests] * 3)
    # the two answers have the same fields
    assert [one.SerializeToString() for one in responses] == [one.SerializeToString() for one in expected]


def test_each_arrow_message_is_answered_before_the_next_is_sent(client: Any) -> None:
    read = Event()

    def requests() -> Iterator[PredictStreamRequest]:
        for payload in chunks(table(30), 10):
            yield PredictStreamRequest(arrow_jobs=payload)
            assert read.wait(30)
            read.clear()

    for response in client.prediction.PredictStream(requests(), timeout=60):
        assert len(decoded(response.arrow_results)) == 10
        read.set()


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("oneof", {}),
        ("oneof", {"arrow_jobs": encoded(table(1)), "jobs": [{}]}),
        ("arrow_jobs", {"arrow_jobs": encoded(table(601))}),
        ("arrow_jobs", {"arrow_jobs": encoded(table(9))[:-40]}),
        ("arrow_jobs.colour", {"arrow_jobs": encoded(pa.table({"colour": ["red"]}))}),
        ("risk", {"arrow_jobs": encoded(table(1)), "risk": 0.9}),
    ],
)
def test_a_bad_message_ends_the_stream_after_what_was_answered(
    client: Any, refusal: Any, field: str, bad: dict[str, Any]
) -> None:
    responses = client.prediction.PredictStream(iter([*asked([encoded(table(5))]), PredictStreamRequest(**bad)]))
    assert len(decoded(next(responses).arrow_results)) == 5
    refused = refusal(lambda: next(responses))
    assert (refused.code, set(refused.fields)) == ("INVALID_ARGUMENT", {field})


def test_the_rows_of_all_arrow_messages_are_limited(served: Any, refusal: Any) -> None:
    with served(max_stream_rows=25) as client:
        responses = client.prediction.PredictStream(iter(asked(chunks(table(30), 10))))
        assert [len(decoded(next(responses).arrow_results)) for _ in range(2)] == [10, 10]
        refused = refusal(lambda: next(responses))
        assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "STREAM_TOO_MANY_ROWS")


def test_the_bytes_of_each_arrow_message_are_limited(served: Any, refusal: Any) -> None:
    small, large = encoded(table(10)), encoded(table(1_000))
    with served(max_message_bytes=len(large) - 1) as client:
        responses = client.prediction.PredictStream(iter(asked([small, large])))
        assert len(decoded(next(responses).arrow_results)) == 10
        assert refusal(lambda: next(responses)).reason == "MESSAGE_TOO_LARGE"


def test_the_rows_of_arrow_messages_are_paid_for(served: Any, job: Any, refusal: Any) -> None:
    with served(rate_per_second=0.01, rate_burst=3) as client:
        payload = encoded(table(10 * ROWS_PER_CALL))
        responses = client.prediction.PredictStream(iter(asked([payload] * 2)))
        next(responses)
        # the first cost 1 + 10 of 3
        refused = refusal(lambda: next(responses))
        assert refused.reason == "RATE_EXCEEDED"
        assert 800 < refused.retry_seconds <= 900
        assert refusal(lambda: client.prediction.Predict(PredictRequest(job=job()))).reason == "RATE_EXCEEDED"


@pytest.mark.parametrize("way", ["start", "fronted"])
def test_a_cancelled_stream_is_worked_on_no_further_than_its_chunk(
    request: pytest.FixtureRequest, until: Any, way: str
) -> None:
    rows, sent = 20_000, 30
    payload = encoded(pa.table({"nodes_req": [1] * rows}))
    service = request.getfixturevalue(way)()
    responses = service.prediction.PredictStream(iter(asked([payload] * sent)))
    until(lambda: service.value(MADE) >= rows, "the first chunk to be made")
    responses.cancel()
    until(lambda: service.value(OPEN) == 0, "the stream to end")
    # one was made and the next begun, or ended in the moment of the cancelling
    assert service.value(MADE) <= 3 * rows


def test_no_more_is_made_than_the_connection_holds_of_what_nobody_reads(served: Any, until: Any) -> None:
    # without room for more than a part of an answer on the way
    narrow = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 65_535)]
    rows, sent = 2_000, 100
    payload = encoded(pa.table({"nodes_req": [1] * rows}))
    with (
        served(max_stream_seconds=2) as client,
        grpc.insecure_channel(f"127.0.0.1:{client.port}", options=narrow) as channel,
    ):
        unread = PredictionServiceStub(channel).PredictStream(iter(asked([payload] * sent)), timeout=120)
        until(lambda: client.value(MADE) >= rows, "the first chunk to be made")
        until(lambda: client.value(OPEN) == 0, "the stream to be cut off, as nobody reads it")
        # one whose answer is on the way, one whose answer waits for room, and one for the buffers between
        assert client.value(MADE) <= 3 * rows
        with pytest.raises(grpc.RpcError):
            list(unread)
