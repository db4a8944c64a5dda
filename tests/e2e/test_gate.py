"""nginx before one API, as deploy/gate.conf has it: what is too much is refused there, as the API would."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from rt_predictor_api.admission import Admission
from rt_predictor_api.interceptors.errors import problem_status
from rt_predictor_client import Client
from rt_predictor_formats.errors import Problem
from rtpredictor.v1 import job_pb2, prediction_service_pb2

if TYPE_CHECKING:
    from conftest import Server

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
JOB = {"user": "ada", "wallclock_req": 7200, "nodes_req": 2, "name": "relax_01"}
END = {**JOB, "job_id": "1", "submit_time": 1000, "start_time": 1100, "end_time": 1200, "state": "COMPLETED"}
PREDICT = "/rtpredictor.v1.PredictionService/Predict"
MESSAGE = prediction_service_pb2.PredictRequest(job=job_pb2.Job(**JOB)).SerializeToString()
ADMITTED = int(re.findall(r"limit_conn calls (\d+);", (DEPLOY / "gate.conf").read_text(encoding="utf-8"))[0])


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def gate(server: Server, free_port: Callable[[], int], tmp_path: Path, until: Any) -> Iterator[str]:
    """Return the address of an nginx before the running service."""
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin:/opt/homebrew/bin")
    if nginx is None:
        pytest.skip("no nginx here: install Debian's package nginx-light")
    folder, port = tmp_path / "deploy", free_port()
    shutil.copytree(DEPLOY, folder)
    text = (folder / "gate.conf").read_text(encoding="utf-8")
    text = text.replace("listen 50051", f"listen 127.0.0.1:{port}").replace(
        "127.0.0.1:50052", f"127.0.0.1:{server.port}"
    )
    (folder / "gate.conf").write_text(text.replace("/tmp/", f"{tmp_path}/"), encoding="utf-8")  # noqa: S108 - its own
    log = tmp_path / "nginx.log"
    with log.open("wb") as written:
        process = subprocess.Popen([nginx, "-e", "stderr", "-c", folder / "gate.conf"], stderr=written)
    try:
        until(lambda: process.poll() is not None or listens(port), lambda: log.read_text(encoding="utf-8"))
        assert process.poll() is None, log.read_text(encoding="utf-8")
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def channel(gate: str) -> Iterator[grpc.Channel]:
    """Return a connection on which nothing is tried again."""
    options = [("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(gate, options=options) as opened:
        yield opened


def refusal_of_the_service() -> status_pb2.Status:
    """Return what the service itself says to a call that is too much."""
    admission = Admission(most=1, seconds=0.0, burst=0.0)
    with admission.turn(), pytest.raises(Problem) as caught, admission.turn():
        pass
    return problem_status(caught.value)


def parts(status: Any) -> tuple[int, str, list[Any]]:
    """Return what a status says, in a form in which the order of a map does not count."""
    retry, info = error_details_pb2.RetryInfo(), error_details_pb2.ErrorInfo()
    assert [detail.Unpack(kind) for detail, kind in zip(status.details, (retry, info), strict=True)] == [True, True]
    return status.code, status.message, [retry, info]


def test_calls_streams_and_reports_pass(gate: str) -> None:
    with Client(gate) as client:
        assert client.predict(JOB).median_seconds > 0
        assert len(list(client.predict_many([JOB] * 500))) == 500
        assert client.report([END]).accepted == 1
        assert client.health() == "SERVING"
        assert client.model().version


def test_what_is_too_much_is_refused_as_the_service_would_and_the_rest_goes_on(
    gate: str, channel: grpc.Channel, until: Any
) -> None:
    ask = channel.unary_unary(PREDICT)
    assert ask(MESSAGE, timeout=60)
    release = Event()

    def held() -> Iterator[bytes]:
        release.wait(60)
        yield MESSAGE

    # a call whose message is still to come is in progress
    calls = [channel.stream_unary(PREDICT).future(held(), timeout=60) for _ in range(ADMITTED + 1)]
    try:
        until(lambda: any(call.done() for call in calls), lambda: "nothing was refused")
        (refused,) = [call for call in calls if call.done()]
        with Client(gate) as client:
            assert client.health() == "SERVING"
            assert len(list(client.predict_many([JOB] * 5))) == 5
    finally:
        release.set()
    assert refused.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert parts(rpc_status.from_call(refused)) == parts(refusal_of_the_service())
    assert all(call.result() for call in calls if call is not refused)
    assert ask(MESSAGE, timeout=60)


def test_without_the_service_calls_are_told_so_until_it_is_back(
    channel: grpc.Channel, server: Server, until: Any
) -> None:
    ask = channel.unary_unary(PREDICT)
    server.kill()
    with pytest.raises(grpc.RpcError) as caught:
        ask(MESSAGE, timeout=60)
    told: Any = caught.value
    assert (told.code(), told.details()) == (grpc.StatusCode.UNAVAILABLE, "no API answers")
    server.start()

    def answered() -> bool:
        with suppress(grpc.RpcError):
            return bool(ask(MESSAGE, timeout=60))
        return False

    until(answered, lambda: "it does not answer")
