"""Several replicas behind one client: those that serve are asked."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from rt_predictor_client.client import Client
from rt_predictor_client.errors import Unreachable

JOB = {"user": "ada"}


@pytest.fixture
def idle() -> Iterator[str]:
    """Return the address of a replica that does not serve, and would fail every call."""
    server = grpc.server(ThreadPoolExecutor(2))
    checks = health.HealthServicer()
    checks.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait(10)


def test_a_replica_that_does_not_serve_is_passed_by(peer: Any, idle: str) -> None:
    with Client(f"{idle},{peer.address}", timeout_seconds=10) as client:
        assert len([client.predict(JOB) for _ in range(30)]) == 30
    assert peer.calls == {"Predict": 30}


def test_without_a_replica_that_serves_that_is_said(peer: Any, idle: str) -> None:
    peer.health.enter_graceful_shutdown()
    with Client(f"{idle},{peer.address}", timeout_seconds=10) as client, pytest.raises(Unreachable) as caught:
        client.predict(JOB)
    assert caught.value.code == "NOT_SERVING"


def test_a_replica_that_is_not_there_is_passed_by(peer: Any) -> None:
    with Client(f"127.0.0.1:1,{peer.address}", timeout_seconds=10) as client:
        assert len([client.predict(JOB) for _ in range(30)]) == 30
