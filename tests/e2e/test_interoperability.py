"""Programs that nobody here wrote ask the service: Triton's client, grpcurl, the health probe of Kubernetes."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from free_ports import free_port
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from open_inference import inference_pb2
from rt_predictor_core.artifact.load import newest
from rtpredictor.v1 import prediction_service_pb2, prediction_service_pb2_grpc

if TYPE_CHECKING:
    from conftest import MakeMessage, Server

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "interop"
TRITON = "tritonclient[grpc]==2.73.0"
HOUR = 3600
MODEL = "rt-predictor"

Example = dict[str, Any]


@pytest.fixture(scope="session")
def triton() -> Path:
    """Return the interpreter of an environment with Triton's client: it wants another protobuf than the service."""
    CACHE.mkdir(parents=True, exist_ok=True)
    folder = CACHE / TRITON.partition("==")[2]
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "ready").exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True, timeout=120)
            pip = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--retries", "1", "--timeout", "15"]
            try:
                subprocess.run([*pip, TRITON], capture_output=True, text=True, check=True, timeout=120)
            except subprocess.SubprocessError as error:
                words = getattr(error, "stderr", None) or str(error)
                pytest.skip(f"{TRITON} cannot be installed: {words[-300:]}")
            (folder / "ready").touch()
    return folder / "bin/python"


@pytest.fixture(scope="session")
def rows(models: Path, example: Example) -> list[Example]:
    """Return some jobs of a user whom the model knows."""
    submit = newest(models).manifest.last_submit + HOUR
    known = {name: value for name, value in example.items() if value not in {None, ""} and name != "job_id"}
    return [{**known, "wallclock_req": 600.0 * (row + 1), "submit_time": submit + row} for row in range(5)]


@pytest.fixture(scope="session")
def said(triton: Path, lasting_server: Server, rows: list[Example]) -> Example:
    """Return what Triton's client got to hear."""
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    done = subprocess.run(
        [triton, Path(__file__).with_name("triton_client.py"), lasting_server.address],
        input=json.dumps(columns),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    heard: Example = json.loads(done.stdout)
    return heard


def batch(server: Server, jobs: list[Any]) -> list[Any]:
    """Return the forecasts that our own contract gives."""
    with grpc.insecure_channel(server.address) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        answer = stub.PredictBatch(prediction_service_pb2.PredictBatchRequest(jobs=jobs, risk=0.2), timeout=30)
    return [result.forecast for result in answer.results]


def test_tritons_client_gets_the_forecasts_of_a_batch(
    said: Example, lasting_server: Server, rows: list[Example], request_message: MakeMessage
) -> None:
    forecasts = batch(lasting_server, [request_message(row, row["submit_time"]) for row in rows])
    assert said["outputs"]["median_seconds"] == [forecast.median_seconds for forecast in forecasts]
    assert said["outputs"]["quantiles"] == [[one.seconds for one in forecast.quantiles] for forecast in forecasts]
    assert said["outputs"]["recommended_wallclock_seconds"] == [
        forecast.recommended_wallclock.seconds for forecast in forecasts
    ]
    assert said["outputs"]["history_jobs"] == [forecast.history_jobs for forecast in forecasts]
    assert (said["id"], said["wanted"]) == ("seven", ["tier"])


def test_tritons_client_finds_the_model(said: Example, models: Path) -> None:
    assert [said["live"], said["ready"], said["model_ready"], said["other_ready"]] == [True, True, True, False]
    assert said["server"]["name"] == said["model"]["name"] == MODEL
    assert said["model"]["versions"] == [newest(models).manifest.version]


def test_tritons_client_is_told_which_tensor_is_wrong(said: Example) -> None:
    assert said["refused"].startswith("StatusCode.INVALID_ARGUMENT inputs.colour: unknown tensor")


def test_the_wire_is_the_one_that_tritons_client_knows(said: Example) -> None:
    ours = {}
    waiting = list(inference_pb2.DESCRIPTOR.message_types_by_name.values())
    while waiting:
        message = waiting.pop()
        waiting += message.nested_types
        ours[message.full_name] = {
            field.name: [field.number, field.type, field.is_repeated] for field in message.fields
        }
    # a later addition of the specification, which Triton lacks
    ours["inference.ModelMetadataResponse"].pop("properties")
    ours = {name: fields for name, fields in ours.items() if "PropertiesEntry" not in name}
    assert {name: said["wire"].get(name) for name in ours} == ours


def test_a_client_without_stubs_learns_the_protocol_by_reflection(lasting_server: Server, rows: list[Example]) -> None:
    with grpc.insecure_channel(lasting_server.address) as channel:
        pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        method = pool.FindServiceByName("inference.GRPCInferenceService").FindMethodByName("ModelInfer")
        ask = channel.unary_unary(
            f"/{method.containing_service.full_name}/{method.name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        request = GetMessageClass(method.input_type)(model_name=MODEL)
        tensor = request.inputs.add(name="user", datatype="BYTES", shape=[1])
        tensor.contents.bytes_contents.append(str(rows[0]["user"]).encode())
        answer = ask(request, timeout=30)
    assert {output.name for output in answer.outputs} >= {"median_seconds", "quantiles"}


def tool(name: str) -> str:
    """Return a program of somebody else's; skips the test where it is missing."""
    found = shutil.which(name, path=os.pathsep.join([str(CACHE / "bin"), os.environ.get("PATH", "")]))
    if found is None:
        pytest.skip(f"{name} is not installed; make interop builds it")
    return found


def run(*command: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=60)


def test_grpcurl_lists_and_asks(lasting_server: Server, rows: list[Example]) -> None:
    grpcurl = [tool("grpcurl"), "-plaintext"]
    listed = run(*grpcurl, lasting_server.address, "list")
    assert {"inference.GRPCInferenceService", "rtpredictor.v1.PredictionService"} <= set(listed.stdout.split())
    request = {"job": {"user": rows[0]["user"], "wallclock_req": 3600}, "risk": 0.2}
    asked = run(
        *(*grpcurl, "-d", "@", lasting_server.address, "rtpredictor.v1.PredictionService/Predict"),
        text=json.dumps(request),
    )
    assert json.loads(asked.stdout)["forecast"]["median_seconds"] > 0
    refused = run(
        *(*grpcurl, "-d", "@", lasting_server.address, "rtpredictor.v1.PredictionService/Predict"),
        text=json.dumps({"job": {"nodes_req": 0}}),
    )
    assert refused.returncode != 0
    assert "InvalidArgument" in refused.stderr
    assert "job.nodes_req" in refused.stderr


@pytest.fixture
def unready(tmp_path: Path) -> Iterator[str]:
    """Return the address of a service that waits for its first model."""
    port = free_port()
    options = {"models": tmp_path / "none", "history": tmp_path / "history", "port": port, "metrics-port": free_port()}
    flags = [f"--{name}={value}" for name, value in options.items()]
    log = tmp_path / "api.log"
    command = [str(Path(sys.executable).with_name("rt-predictor-api")), *flags, "--wait-for-model"]
    with log.open("wb") as file, subprocess.Popen(command, stderr=file) as process:
        deadline = time.monotonic() + 60
        while "listening" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield f"localhost:{port}"
        process.terminate()


def test_the_probe_of_kubernetes_gets_its_statuses(lasting_server: Server, unready: str) -> None:
    probe = tool("grpc-health-probe")

    def status(address: str, *options: str) -> int:
        return run(probe, f"-addr={address}", *options).returncode

    serving = lasting_server.address
    assert [status(serving), status(serving, "-service=inference.GRPCInferenceService")] == [0, 0]
    assert status(serving, "-connect-timeout=-1s") == 1
    assert status(f"localhost:{free_port()}") == 2
    assert status(serving, "-service=nonesuch") == 3
    assert status(unready) == 4
