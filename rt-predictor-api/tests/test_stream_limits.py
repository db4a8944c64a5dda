"""What ends a stream: silence, age, rows, and a caller who does not read."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event
from typing import Any

import grpc
import pytest

from rtpredictor.v1.history_service_pb2 import ReportJobsRequest
from rtpredictor.v1.prediction_service_pb2 import PredictStreamRequest
from rtpredictor.v1.prediction_service_pb2_grpc import PredictionServiceStub

OPEN = 'rtpredictor_requests_in_flight{rpc="PredictStream"}'


def test_a_silent_stream_is_ended_and_its_place_is_free(served: Any, job: Any, refusal: Any) -> None:
    with served(max_idle_seconds=0.2, max_streams=1) as client:
        for _ in range(4):
            done = Event()

            def requests(done: Event = done) -> Iterator[PredictStreamRequest]:
                yield PredictStreamRequest(jobs=[job()])
                done.wait(60)

            responses = client.prediction.PredictStream(requests(), timeout=60)
            assert len(next(responses).results) == 1
            refused = refusal(lambda responses=responses: next(responses))
            done.set()
            assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "STREAM_IDLE")
            assert "RT_PREDICTOR_MAX_IDLE_SECONDS" in refused.text


def test_a_stream_that_goes_on_for_too_long_is_ended(served: Any, job: Any, refusal: Any) -> None:
    with served(max_stream_seconds=0.5) as client:
        stop = Event()

        def requests() -> Iterator[PredictStreamRequest]:
            while not stop.wait(0.02):
                yield PredictStreamRequest(jobs=[job()])

        responses = client.prediction.PredictStream(requests(), timeout=60)
        refused = refusal(lambda: [list(response.results) for response in responses])
        stop.set()
        assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "STREAM_TOO_LONG")


def test_too_many_rows_end_a_report_and_what_was_stored_stays(served: Any, event: Any, refusal: Any) -> None:
    messages = [ReportJobsRequest(events=[event(2 * number), event(2 * number + 1)]) for number in range(3)]
    with served(max_stream_rows=5) as client:
        refused = refusal(lambda: client.history.ReportJobs(iter(messages)))
        assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "STREAM_TOO_MANY_ROWS")
        assert client.value("rtpredictor_journal_events") == 4
        answer = client.history.ReportJobs(iter(messages[1:]))
        assert (answer.accepted, answer.duplicates) == (2, 2)


def test_a_caller_who_does_not_read_is_cut_off(served: Any, job: Any, until: Any) -> None:
    # without room for more than a little on the way, so that the service waits for its reader soon
    narrow = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 65_535)]
    with (
        served(max_stream_seconds=1, max_streams=1) as client,
        grpc.insecure_channel(f"127.0.0.1:{client.port}", options=narrow) as channel,
    ):
        request = PredictStreamRequest(jobs=[job()] * 2_000)
        unread = PredictionServiceStub(channel).PredictStream(iter([request] * 50), timeout=120)
        until(lambda: client.value(OPEN) == 1, "the stream to begin")
        until(lambda: client.value(OPEN) == 0, "the stream to be cut off")
        with pytest.raises(grpc.RpcError) as caught:
            list(unread)
        assert caught.value.code() == grpc.StatusCode.CANCELLED
        assert list(client.prediction.PredictStream(iter([PredictStreamRequest(jobs=[job()])])))


def test_a_stream_within_its_limits_is_not_cut_off_later(served: Any, job: Any) -> None:
    with served(max_stream_rows=2, max_idle_seconds=5, max_stream_seconds=5) as client:
        requests = iter([PredictStreamRequest(jobs=[job()])] * 2)
        assert len(list(client.prediction.PredictStream(requests))) == 2
