"""Several APIs with one journal behind one address: shared out call by call, one may go, and so may Redis."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event

import grpc
import pytest

from rt_predictor_client import Unreachable
from rtpredictor.v1 import prediction_service_pb2_grpc
from stacks import JOB, Stack, docker, ended, eventually, inside, is_ready, load, logged, question

pytestmark = [pytest.mark.compose, pytest.mark.timeout(900)]

PREDICT = "/rtpredictor.v1.PredictionService/Predict"
ADMITTED = 8
ANSWERED = """
from urllib.request import urlopen
told = urlopen('http://localhost:8181/metrics').read().decode().splitlines()
print(sum(float(line.split()[-1]) for line in told if line.startswith('rtpredictor_forecasts_total')))
"""


@pytest.fixture(scope="module")
def replicas(stack: Stack) -> Iterator[Stack]:
    """Return the stack with two APIs, Redis and a balancer instead of the one API."""
    stack.made("start", RT_PREDICTOR_REPLICAS="2", RT_PREDICTOR_ADMITTED_CALLS=str(ADMITTED))
    yield stack
    stack.made("start")


@pytest.fixture
def channel(replicas: Stack) -> Iterator[grpc.Channel]:
    """Return one connection on which nothing is tried again."""
    options = [("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(f"localhost:{replicas.port}", options=options) as opened:
        yield opened


def ask(channel: grpc.Channel, number: int) -> None:
    prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(question(number), timeout=60)


def answered(replicas: Stack) -> list[float]:
    return [float(inside(one, ANSWERED)) for one in replicas.all_of("replica")]


def test_calls_of_one_connection_are_shared_out(replicas: Stack, channel: grpc.Channel) -> None:
    before = answered(replicas)
    assert len(before) == 2
    for number in range(40):
        ask(channel, number)
    more = [now - then for now, then in zip(answered(replicas), before, strict=True)]
    assert sum(more) == 40
    assert min(more) >= 10


def test_more_calls_than_are_admitted_are_refused_at_once(channel: grpc.Channel) -> None:
    release = Event()

    def held() -> Iterator[bytes]:
        release.wait(60)
        yield question(0).SerializeToString()

    # a call whose message is still to come is in progress
    calls = [channel.stream_unary(PREDICT).future(held(), timeout=60) for _ in range(ADMITTED + 1)]
    try:
        eventually(lambda: [call for call in calls if call.done()])
        (refused,) = [call for call in calls if call.done()]
    finally:
        release.set()
    assert refused.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert all(call.result() for call in calls if call is not refused)


def test_what_one_was_told_all_know(replicas: Stack) -> None:
    with replicas.client() as client:
        assert client.report([ended(f"shared{number}", "mary") for number in range(3)]).accepted == 3

        def known() -> set[int]:
            return {client.predict({**JOB, "user": "mary"}).history_jobs for _ in range(8)}

        eventually(known, lambda seen: seen == {3})


def test_ui_and_prometheus_find_all_of_them(replicas: Stack) -> None:
    assert "The service answers" in replicas.page()
    # what it saw before it was started anew stays in sight for five minutes
    query = 'up{job="rt-predictor-api",instance!="api:8181"} == 1'
    eventually(lambda: len(replicas.query(query)), lambda seen: seen == 2)


def test_an_api_that_is_stopped_under_load_loses_not_one_call(replicas: Stack) -> None:
    leaving = replicas.all_of("replica")[0]
    with replicas.client() as client:
        with load(lambda number: client.predict({**JOB, "user": f"user{number}"}), threads=4) as calls:
            docker("stop", "-t", "40", leaving)
            calls.goes_on(100)
            assert docker("inspect", "-f", "{{.State.ExitCode}}", leaving) == "0"
            docker("start", leaving)
            eventually(lambda: is_ready(leaving))
            calls.goes_on(100)
        assert calls.failed == []


def test_without_redis_forecasts_go_on_degraded_and_reports_are_refused_until_it_is_back(replicas: Stack) -> None:
    redis = replicas.container("redis")
    with replicas.client() as client:
        assert client.report([ended("before", "edith")]).accepted == 1
        numbers = iter(range(1_000_000))

        def degraded() -> set[str | None]:
            return {client.predict({**JOB, "user": f"edith{next(numbers)}"}).degraded for _ in range(6)}

        docker("kill", redis)
        eventually(degraded, lambda seen: seen == {"history_unavailable"})

        def refused_at_once() -> bool:
            with pytest.raises(Unreachable) as caught:
                client.report([ended("meanwhile", "edith")])
            assert caught.value.code == "HISTORY_UNAVAILABLE"
            return all("did not answer before" in logged(one) for one in replicas.all_of("replica"))

        # the circuits are open: Redis is not asked any more
        eventually(refused_at_once)
        docker("start", redis)
        eventually(degraded, lambda seen: seen == {None})

        def stored() -> bool:
            try:
                return client.report([ended("meanwhile", "edith")]).rejected_total == 0
            except Unreachable:
                return False

        eventually(stored)

        def again() -> tuple[int, int] | None:
            # each process finds for itself that Redis is back
            try:
                told = client.report([ended("before", "edith"), ended("meanwhile", "edith")])
            except Unreachable:
                return None
            return told.accepted, told.duplicates

        assert eventually(again) == (0, 2)
