"""More calls than the service can answer."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from rt_predictor_api.admission import Admission
from rt_predictor_api.interceptors.limits import Limits
from rt_predictor_api.metrics import Metrics
from rt_predictor_api.settings import Settings
from rt_predictor_formats.errors import Problem
from rtpredictor.v1.prediction_service_pb2 import PredictRequest


def test_a_call_that_waited_past_its_deadline_is_not_worked_on(served: Any, job: Any, until: Any) -> None:
    in_flight = 'rtpredictor_requests_in_flight{rpc="Predict"}'
    with served(max_active_calls=2) as client:
        with client.service._engine._replica._store._lock:
            held = [client.prediction.Predict.future(PredictRequest(job=job())) for _ in range(2)]
            until(lambda: client.value(in_flight) == 2, "both to be worked on")
            with pytest.raises(grpc.RpcError) as caught:
                client.prediction.Predict(PredictRequest(job=job()), timeout=0.05)
            # an answer on the same connection: the service has read that the call has ended
            assert client.status() == "SERVING"
        assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        assert all(call.result().forecast.median_seconds > 0 for call in held)
        assert client.prediction.Predict(PredictRequest(job=job())).forecast.median_seconds > 0
        assert client.value('rtpredictor_forecasts_total{tier="none"}') == 3


def test_a_call_whose_turn_is_too_late_is_refused_with_when_to_try_again(
    served: Any, job: Any, until: Any, refusal: Any
) -> None:
    in_flight = 'rtpredictor_requests_in_flight{rpc="Predict"}'
    with served(max_active_calls=2) as client:
        with client.service._engine._replica._store._lock:
            held = [client.prediction.Predict.future(PredictRequest(job=job())) for _ in range(2)]
            until(lambda: client.value(in_flight) == 2, "both to be worked on")
            refused = refusal(lambda: client.prediction.Predict(PredictRequest(job=job()), timeout=30))
        assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "OVERLOADED")
        assert refused.retry_seconds > 0
        assert client.value('rtpredictor_calls_refused_total{reason="overloaded"}') == 1
        assert all(call.result().forecast.median_seconds > 0 for call in held)


def test_a_call_that_ended_while_it_waited_for_its_turn_is_not_worked_on() -> None:
    class Ended:
        def is_active(self) -> bool:
            return False

    limits = Limits(Settings(), Admission(1, 1.0), Metrics())
    context: Any = Ended()
    with pytest.raises(Problem, match="CALL_ENDED"), limits._single("Predict", context):
        pytest.fail("it was worked on")


def test_a_call_too_many_is_refused_at_once(served: Any, job: Any, until: Any) -> None:
    with served(max_streams=1, max_concurrent_calls=3) as client:
        with client.service._engine._replica._store._lock:
            held = [client.prediction.Predict.future(PredictRequest(job=job())) for _ in range(3)]
            refused = until(lambda: overloaded(client, job), "the fourth call to be refused")
        assert refused == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert all(call.result().forecast.median_seconds > 0 for call in held)


def overloaded(client: Any, job: Any) -> Any:
    """Return how one more call is refused; None where it was only late."""
    try:
        client.prediction.Predict(PredictRequest(job=job()), timeout=0.2)
    except grpc.RpcError as error:
        return error.code() if error.code() != grpc.StatusCode.DEADLINE_EXCEEDED else None
    return None
