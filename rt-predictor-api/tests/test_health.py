"""Health and reflection: what load balancers and people's tools see."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from open_inference.inference_pb2 import (
    ModelInferRequest,
    ModelMetadataRequest,
    ModelReadyRequest,
    ServerLiveRequest,
    ServerReadyRequest,
)
from rt_predictor_api.server import LIVENESS, NAMES, _connections
from rtpredictor.v1.history_service_pb2 import ReportJobsRequest
from rtpredictor.v1.model_service_pb2 import GetEvaluationRequest, GetModelRequest, ListModelsRequest
from rtpredictor.v1.prediction_service_pb2 import PredictBatchRequest, PredictRequest, PredictStreamRequest

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


def test_the_server_and_each_service_are_healthy_with_a_model(client: Any) -> None:
    assert {client.status(name) for name in ("", *NAMES)} == {"SERVING"}


def test_an_unknown_service_has_no_health(client: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        client.status("rtpredictor.v1.NoService")
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_health_follows_the_model_and_the_end(
    served: Any, tmp_path: Path, trained: Path, publish: Any, until: Callable[..., Any]
) -> None:
    empty = tmp_path / "later"
    with served(models=empty, wait_for_model=True, watch_interval_seconds=0.05) as client:
        until(lambda: client.status() == "NOT_SERVING", "the service to answer")
        assert client.value("rtpredictor_ready") == 0
        watched = client.health.Watch(health_pb2.HealthCheckRequest(service=NAMES[0]), timeout=60)
        assert next(watched).status == NOT_SERVING
        publish(trained, empty)
        assert next(watched).status == SERVING
        assert client.value("rtpredictor_ready") == 1
        client.service._health.end()
        assert [told.status for told in watched] == [NOT_SERVING]


def watched(client: Any) -> Any:
    """Return a watch of the server that has been told its status."""
    watch = client.health.Watch(health_pb2.HealthCheckRequest(), timeout=120)
    assert next(watch).status == SERVING
    return watch


def test_watches_may_end_while_the_status_changes(served: Any) -> None:
    with served() as client:
        for _ in range(20):
            watches = [watched(client) for _ in range(20)]
            changes = Thread(target=lambda: [client.service._health.tell([""], SERVING) for _ in range(200)])
            changes.start()
            for watch in watches:
                watch.cancel()
            changes.join(60)
            assert not changes.is_alive()
            assert client.status() == "SERVING"


def test_the_longest_watches_give_way_to_calls_and_newer_ones(served: Any, job: Any, until: Any) -> None:
    with served(max_active_calls=1, max_streams=1, max_concurrent_calls=10) as client:
        held = [watched(client) for _ in range(20)]
        until(lambda: sum(watch.done() for watch in held) == 15, "all but five to give way")
        assert {watch.code() for watch in held[:15]} == {grpc.StatusCode.CANCELLED}
        assert client.prediction.Predict(PredictRequest(job=job())).forecast.median_seconds > 0
        client.service._health.end()
        assert [[told.status for told in watch] for watch in held[15:]] == [[NOT_SERVING]] * 5


def test_a_service_that_waits_for_a_model_lives_until_it_drains(
    served: Any, tmp_path: Path, until: Callable[..., Any]
) -> None:
    with served(models=tmp_path / "none", wait_for_model=True) as client:
        until(lambda: client.status() == "NOT_SERVING", "the service to answer")
        assert client.status(LIVENESS) == "SERVING"
        client.service._health.end()
        assert client.status(LIVENESS) == "NOT_SERVING"


@contextmanager
def states(client: Any) -> Iterator[list[grpc.ChannelConnectivity]]:
    """Yield a list that grows by each state that the client's connection comes to."""
    seen: list[grpc.ChannelConnectivity] = []
    client.channel.subscribe(seen.append)
    yield seen
    client.channel.unsubscribe(seen.append)


def test_a_connection_ends_by_itself_only_where_it_is_told_to(served: Any, until: Callable[..., Any]) -> None:
    ready, idle = grpc.ChannelConnectivity.READY, grpc.ChannelConnectivity.IDLE
    with served(max_connection_seconds=0.2) as client, states(client) as seen:
        assert client.status() == "SERVING"
        # idle is what gRPC comes to when the server says that it goes away
        until(lambda: ready in seen and idle in seen[seen.index(ready) :], "the end")
        assert client.status() == "SERVING", "calls go on, on a new connection"
    with served() as client:
        assert "grpc.max_connection_age_ms" not in dict(_connections(client.service._settings))


def test_without_a_model_every_call_says_unavailable(
    served: Any, tmp_path: Path, until: Callable[..., Any], refusal: Any, job: Any, event: Any
) -> None:
    with served(models=tmp_path / "none", wait_for_model=True) as client:
        until(lambda: client.status() == "NOT_SERVING", "the service to answer")
        calls = [
            lambda: client.prediction.Predict(PredictRequest(job=job())),
            lambda: client.prediction.PredictBatch(PredictBatchRequest(jobs=[job()])),
            lambda: next(client.prediction.PredictStream(iter([PredictStreamRequest(jobs=[job()])]))),
            lambda: client.history.ReportJobs(iter([ReportJobsRequest(events=[event(1)])])),
            lambda: client.prediction.Predict(PredictRequest(job=job(), explain=True)),
            lambda: client.model.GetModel(GetModelRequest()),
            lambda: client.model.GetEvaluation(GetEvaluationRequest()),
            lambda: client.inference.ModelMetadata(ModelMetadataRequest(name="rt-predictor")),
            lambda: client.inference.ModelInfer(ModelInferRequest(model_name="rt-predictor")),
        ]
        for call in calls:
            refused = refusal(call)
            assert (refused.code, refused.reason) == ("UNAVAILABLE", "NO_MODEL")
        assert list(client.model.ListModels(ListModelsRequest()).models) == []
        assert client.inference.ServerLive(ServerLiveRequest()).live
        assert not client.inference.ServerReady(ServerReadyRequest()).ready
        assert not client.inference.ModelReady(ModelReadyRequest(name="rt-predictor")).ready


def names(client: Any) -> set[str]:
    stub = reflection_pb2_grpc.ServerReflectionStub(client.channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    (answer,) = stub.ServerReflectionInfo(iter([request]))
    return {service.name for service in answer.list_services_response.service}


def test_reflection_lists_the_services(client: Any) -> None:
    assert names(client) == {*NAMES, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}


def test_reflection_can_be_switched_off(served: Any) -> None:
    with served(reflection=False) as client, pytest.raises(grpc.RpcError) as caught:
        names(client)
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_descriptions_that_stay_open_leave_room_to_calls(served: Any, job: Any, until: Any) -> None:
    with served(max_streams=1, max_concurrent_calls=50) as client:
        stub, over = reflection_pb2_grpc.ServerReflectionStub(client.channel), Event()

        def silent() -> Iterator[Any]:
            over.wait(60)
            yield from ()

        held = [stub.ServerReflectionInfo(silent(), timeout=60) for _ in range(40)]
        try:
            assert client.prediction.Predict(PredictRequest(job=job()), timeout=30).forecast.median_seconds > 0
            until(lambda: sum(call.done() for call in held) == len(held) - 2, "all descriptions but two to be refused")
            refused = next(call for call in held if call.done())
            assert refused.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            assert "2 descriptions are open already" in refused.details()
        finally:
            over.set()
        assert [call.code() for call in held].count(grpc.StatusCode.OK) == 2
        assert names(client)
