"""Servers under load: the service, and MLServer with the same three models in an environment of its own."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from load import OPTIONS
from logs import command
from ours import timed

MLSERVER = "mlserver==1.7.1"
LIBRARIES = ("xgboost", "lightgbm", "catboost")
READY_SECONDS = 180.0
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

_SETTINGS = {"parallel_workers": 0, "debug": False, "host": "127.0.0.1"}
_TRANSPORTS = Path(__file__).with_name("transports.py")
_RUNTIME = Path(__file__).with_name("mlserver_runtime.py")


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def ours(models: Path, work: Path, workers: int = 1, **settings: str | int) -> Iterator[str]:
    """Run the service on a fresh history and yield its address; ``settings`` are environment variables."""
    history = work / "serving-history"
    shutil.rmtree(history, ignore_errors=True)
    port = free_port()
    chosen = {"models": models, "history": history, "port": port, "metrics_port": 0, "workers": workers, **settings}
    environment = {f"RT_PREDICTOR_{name.upper()}": str(value) for name, value in chosen.items()}
    output = work / "serving-ours.txt"
    with _running([command("rt-predictor-api")], environment, output, port) as address:
        _until_serving(address)
        # connections go to those that listen, and stay there
        _until(lambda: workers == 1 or output.read_text("utf-8").count("worker listening") == workers, address)
        yield address


@contextmanager
def on_cores(first: int, end: int | None) -> Iterator[None]:
    """Keep what is started meanwhile to the cores from one to another, where there are several and the system can."""
    had: set[int] = getattr(os, "sched_getaffinity", lambda _: set())(0)
    some = sorted(had)[first:end]
    if len(had) > 1 and some:
        os.sched_setaffinity(0, some)
    try:
        yield
    finally:
        if had:
            os.sched_setaffinity(0, had)


@contextmanager
def giving_way() -> Iterator[None]:
    """Let what is started meanwhile wait for a core until another program leaves it, where the system can.

    A load that comes from elsewhere never takes a core from a server in the middle of a call.
    """
    can = hasattr(os, "SCHED_BATCH")
    had = os.sched_getscheduler(0) if can else 0
    if can:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    try:
        yield
    finally:
        if can:
            os.sched_setscheduler(0, had, os.sched_param(0))


@contextmanager
def empty(kind: str, work: Path) -> Iterator[str]:
    """Run a server of ``transports`` and yield its address."""
    port = free_port()
    arguments = [sys.executable, str(_TRANSPORTS), kind, str(port)]
    with _running(arguments, {}, work / f"serving-{kind}.txt", port) as address:
        yield address


def peer_environment(work: Path, versions: Mapping[str, str]) -> Path:
    """Return the environment of the peer; installs it with the libraries of the model where it is missing.

    Exits where the registry cannot be reached.
    """
    folder = work / MLSERVER.replace("==", "-")
    done = folder / "installed.json"
    wanted = [MLSERVER, *(f"{name}=={versions[name]}" for name in LIBRARIES)]
    if done.exists() and json.loads(done.read_text("utf-8")) == wanted:
        return folder
    print(f"installing {' '.join(wanted)} ...", flush=True)
    timed((sys.executable, "-m", "venv", "--clear", folder), work / "mlserver-venv.txt")
    timed((folder / "bin/pip", "install", "--quiet", *wanted), work / "mlserver-pip.txt")
    done.write_text(json.dumps(wanted), "utf-8")
    return folder


@contextmanager
def mlserver(environment: Path, model: Path, work: Path) -> Iterator[str]:
    """Run MLServer with the native models of an artifact as one ensemble, and yield its address."""
    folder = work / "mlserver-models"
    folder.mkdir(exist_ok=True)
    port = free_port()
    ports = {"grpc_port": port, "http_port": free_port(), "metrics_port": free_port()}
    (folder / "settings.json").write_text(json.dumps({**_SETTINGS, **ports}), "utf-8")
    parameters = {"uri": str(model / "members")}
    described = {"name": "ensemble", "implementation": f"{_RUNTIME.stem}.Ensemble", "parameters": parameters}
    (folder / "model-settings.json").write_text(json.dumps(described), "utf-8")
    arguments = [str(environment / "bin/mlserver"), "start", str(folder)]
    path = {"PYTHONPATH": str(_RUNTIME.parent)}
    with _running(arguments, path, work / "serving-mlserver.txt", port) as address:
        yield address


def mlserver_request(environment: Path, row: list[float]) -> bytes:
    """Return one row as the peer's protocol has it, encoded by the peer's own code."""
    arguments = [str(environment / "bin/python"), str(_RUNTIME), json.dumps(row)]
    done = subprocess.run(arguments, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"{done.stderr.decode()}\nerror: no request for {MLSERVER}")
    return done.stdout


@contextmanager
def _running(arguments: list[str], environment: Mapping[str, str], output: Path, port: int) -> Iterator[str]:
    """Run a server until the block ends; exits with what it said where it does not listen in time."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("w", encoding="utf-8") as stream:
        process = subprocess.Popen(
            arguments, env={**os.environ, **ONE_THREAD, **environment}, stdout=stream, stderr=subprocess.STDOUT
        )
    address = f"127.0.0.1:{port}"
    try:
        _wait(process, address, output)
        yield address
    finally:
        process.terminate()
        process.wait(60)


def _until_serving(address: str) -> None:
    with grpc.insecure_channel(address, options=OPTIONS) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check
        serving = health_pb2.HealthCheckResponse.SERVING
        _until(lambda: check(health_pb2.HealthCheckRequest()).status == serving, address)


def _until(ready: Callable[[], bool], address: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not ready():
        if time.monotonic() > deadline:
            raise SystemExit(f"error: the service at {address} is not ready")
        time.sleep(0.05)


def _wait(process: subprocess.Popen[Any], address: str, output: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    with grpc.insecure_channel(address, options=OPTIONS) as channel:
        ready = grpc.channel_ready_future(channel)
        while process.poll() is None and time.monotonic() < deadline:
            try:
                ready.result(1.0)
            except grpc.FutureTimeoutError:
                continue
            return
    raise SystemExit(f"{output.read_text('utf-8')}\nerror: {Path(process.args[0]).name} does not listen")  # type: ignore[index,arg-type]
