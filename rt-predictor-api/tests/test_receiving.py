"""Calls whose message comes late, or never."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event
from typing import Any

import grpc
import pytest

from rt_predictor_api.interceptors import receiving
from rtpredictor.v1.prediction_service_pb2 import PredictRequest

PREDICT = "/rtpredictor.v1.PredictionService/Predict"
WATCH = "/grpc.health.v1.Health/Watch"
REFUSED = 'rtpredictor_calls_refused_total{reason="message_late"}'


@pytest.fixture
def over() -> Iterator[Event]:
    """Set at the end: callers that are silent until then give up."""
    event = Event()
    yield event
    event.set()


def begin(client: Any, path: str, message: bytes, over: Event) -> Any:
    """Begin a call whose message comes when ``over`` is set, as gRPC's own clients of one message cannot."""

    def later() -> Iterator[bytes]:
        over.wait(60)
        yield message

    return client.channel.stream_stream(path)(later())


def test_silent_calls_leave_room_to_all_others(served: Any, job: Any, until: Any, over: Event) -> None:
    asked = PredictRequest(job=job())
    with served(max_active_calls=1, max_streams=1, max_concurrent_calls=20) as client:
        silent = [begin(client, path, b"", over) for path in [PREDICT, WATCH] * 30]

        def answered() -> bool:
            try:
                return bool(client.prediction.Predict(asked, timeout=5).forecast.median_seconds)
            except grpc.RpcError:
                return False

        until(answered, "an answer")
        until(lambda: client.value(REFUSED), "silent calls to give way")
        assert all(answered() for _ in range(20))
        over.set()
        for call in silent:
            call.cancel()


def test_a_message_may_take_its_time(served: Any, job: Any, over: Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving, "GRACE_SECONDS", 0.0)
    with served(max_concurrent_calls=100) as client:
        late = [begin(client, PREDICT, PredictRequest(job=job()).SerializeToString(), over) for _ in range(20)]
        for _ in range(20):
            assert client.prediction.Predict(PredictRequest(job=job())).forecast.median_seconds > 0
        over.set()
        assert all(len(list(call)) == 1 for call in late)
        assert not client.value(REFUSED)


def test_a_call_that_ends_without_a_message_is_told_so(client: Any) -> None:
    for path in (PREDICT, WATCH):
        with pytest.raises(grpc.RpcError) as caught:
            list(client.channel.stream_stream(path)(iter(())))
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
        assert path in caught.value.details()


def test_health_refuses_what_is_no_message(client: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        client.channel.unary_unary("/grpc.health.v1.Health/Check")(b"\xff" * 9)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
