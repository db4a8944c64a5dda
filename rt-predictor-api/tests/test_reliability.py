"""The service as a process, under load, while models are swapped and services are ended."""

from __future__ import annotations

import json
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any

import grpc

from rtpredictor.v1.history_service_pb2 import ReportJobsRequest
from rtpredictor.v1.history_service_pb2_grpc import HistoryServiceStub
from rtpredictor.v1.prediction_service_pb2 import PredictBatchRequest, PredictRequest
from rtpredictor.v1.prediction_service_pb2_grpc import PredictionServiceStub

SWAPS = 50

ANSWERED = 'rtpredictor_requests_total{code="OK",rpc="Predict"}'

RETRIES = json.dumps(
    {
        "loadBalancingConfig": [{"round_robin": {}}],
        "methodConfig": [
            {
                "name": [{}],
                "retryPolicy": {
                    "maxAttempts": 5,
                    "initialBackoff": "0.05s",
                    "maxBackoff": "1s",
                    "backoffMultiplier": 2,
                    # as the client has it: gRPC's server cancels some calls that it has not begun
                    "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
                },
            }
        ],
    }
)
"""What any client of a service with replicas sets: calls that were not answered go to another one."""


@contextmanager
def load(calls: list[Callable[[], None]]) -> Iterator[None]:
    """Repeat calls, each in a thread of its own, until the block ends; an error of one is raised here."""
    stop, failures = Event(), []

    def repeat(call: Callable[[], None]) -> None:
        while not stop.is_set():
            try:
                call()
            except Exception as error:  # noqa: BLE001 - raised in the end
                failures.append(error)
                return

    threads = [Thread(target=repeat, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        # before what the block waited for in vain because of them
        assert not failures, failures


def channel(*ports: int) -> grpc.Channel:
    """Return connections of their own to services, with retries."""
    options = [
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.service_config", RETRIES),
        # one that is back is asked again soon, and not after two minutes
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2_000),
    ]
    return grpc.insecure_channel("ipv4:" + ",".join(f"127.0.0.1:{port}" for port in ports), options)


def test_fifty_swaps_under_load_fail_no_call_and_mix_no_versions(
    start: Any, models: Path, newer: Path, publish: Any, until: Callable[..., Any], job: Any, event: Any
) -> None:
    (older,) = (path.name for path in models.iterdir())
    service = start("--workers", "2", RT_PREDICTOR_WATCH_INTERVAL_SECONDS="0.05")
    answered: Counter[str] = Counter()
    reported = 0
    connections = [channel(service.port) for _ in range(6)]
    stubs = [PredictionServiceStub(one) for one in connections]

    def ask(stub: Any) -> None:
        answered[stub.Predict(PredictRequest(job=job()), timeout=30).forecast.model_version] += 1

    def ask_many(stub: Any) -> None:
        response = stub.PredictBatch(PredictBatchRequest(jobs=[job(nodes_req=n) for n in range(1, 30)]), timeout=30)
        versions = {result.forecast.model_version for result in response.results}
        assert versions == {response.model_version}, "versions are mixed in one answer"

    def report() -> None:
        nonlocal reported
        sent = HistoryServiceStub(connections[0]).ReportJobs(
            iter([ReportJobsRequest(events=[event(reported)])]), timeout=30
        )
        assert (sent.accepted, sent.duplicates) == (1, 0)
        reported += 1

    calls = [
        *(lambda stub=stub: ask(stub) for stub in stubs[:3]),
        *(lambda stub=stub: ask_many(stub) for stub in stubs[3:]),
    ]
    adopted = 'rtpredictor_model_loads_total{outcome="adopted"}'
    with load([*calls, report]):
        until(lambda: service.value(adopted) == 2, "both workers to begin")
        for swap in range(SWAPS):
            if swap % 2:
                shutil.rmtree(models / newer.name)
            else:
                publish(newer, models)
            until(lambda swap=swap: service.value(adopted) == 2 * (swap + 2), "both workers to swap", 60)
    for connection in connections:
        connection.close()
    assert set(answered) == {older, newer.name}
    assert min(answered.values()) > SWAPS
    forecast = service.prediction.Predict(PredictRequest(job=job())).forecast
    assert forecast.history_jobs == reported, "a report was lost or doubled"
    assert service.end() == 0


def test_services_that_are_restarted_one_after_the_other_fail_no_call(
    start: Any, job: Any, tmp_path: Path, until: Callable[..., Any]
) -> None:
    """Two replicas with retries, as any client sets them: SIGTERM lets what was begun end, and refuses the rest."""
    services = [start(RT_PREDICTOR_HISTORY=str(tmp_path / str(number))) for number in range(2)]
    ports = [service.port for service in services]
    connections = [channel(*ports) for _ in range(3)]
    answered = [0] * len(connections)

    def ask(number: int) -> None:
        PredictionServiceStub(connections[number]).Predict(PredictRequest(job=job()), timeout=30)
        answered[number] += 1

    with load([partial(ask, number) for number in range(len(connections))]):
        for number in range(2):
            before = sum(answered)
            until(lambda before=before: sum(answered) > before + 50, "calls to be answered")
            service = services[number]
            assert service.end(signal.SIGTERM) == 0
            events = [line["event"] for line in service.lines()]
            assert events.index("draining") < events.index("stopped")
            history = str(tmp_path / str(number))
            services[number] = start("--port", str(ports[number]), RT_PREDICTOR_HISTORY=history)
            again = services[number]
            until(lambda again=again: again.value(ANSWERED) > len(connections), "the callers to be back")
    for connection in connections:
        connection.close()


def test_a_drain_answers_what_was_begun_refuses_the_rest_and_loses_no_acknowledged_report(
    start: Any, event: Any, until: Callable[..., Any]
) -> None:
    service = start("--workers", "2")
    plain = [
        grpc.insecure_channel(f"127.0.0.1:{service.port}", [("grpc.use_local_subchannel_pool", 1)]) for _ in range(6)
    ]
    acknowledged: list[int] = []
    refusals: list[grpc.StatusCode] = []
    numbers = iter(range(100_000))

    def report(connection: grpc.Channel) -> None:
        number = next(numbers)
        try:
            sent = HistoryServiceStub(connection).ReportJobs(
                iter([ReportJobsRequest(events=[event(number)])]), timeout=30
            )
        except grpc.RpcError as error:
            refusals.append(error.code())
        else:
            acknowledged.extend([number] * sent.accepted)

    with load([partial(report, connection) for connection in plain]):
        until(lambda: len(acknowledged) > 100, "reports to be acknowledged")
        assert service.end() == 0
        until(lambda: len(refusals) > 6, "calls to be refused")
    for connection in plain:
        connection.close()
    may_try_again = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    assert set(refusals) <= may_try_again, "a caller may try again, nothing else"
    again = start()
    assert again.report(*map(event, acknowledged)).duplicates == len(acknowledged)
