"""Real parts for the tests of the service: a trained model, the service in this process, and as a process."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from made_once import made_once
from redis import Redis, RedisError

from open_inference import inference_pb2_grpc
from rt_predictor_api import logs, settings
from rt_predictor_api.front import nginx
from rt_predictor_api.server import Service
from rtpredictor.v1 import (
    history_service_pb2,
    history_service_pb2_grpc,
    job_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

NOW = 1_700_000_000
"""A submit time later than every job of the training log [s since 1970]."""


@pytest.fixture(scope="session", autouse=True)
def _logging() -> None:
    """Log as the service does, so that pytest captures it."""
    logs.configure("info")


def run_training(function: str, *arguments: str) -> None:
    """Run a training command in a process of its own: the service never imports training."""
    program = f"from rt_predictor_training.cli import {function}; {function}()"
    # more threads than idle cores wait for each other
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        timeout=270,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log that the models are trained on; treat it as read-only, as it is that of all workers."""
    options = ("--rows", "4000", "--seed", "11")
    return made_once(
        tmp_path_factory, "api.parquet", lambda path: run_training("synthesize", *options, "--out", str(path))
    )


def train(factory: pytest.TempPathFactory, log: Path, jobs: int) -> Path:
    """Train on the newest jobs of the log, once for all workers, and return the model's folder."""
    options = ("--data", str(log), "--profile", "quick", "--sample-size", str(jobs))
    models = made_once(
        factory, f"api-models-{jobs}", lambda path: run_training("train", *options, "--models", str(path))
    )
    (model,) = models.glob("*")
    return model


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, log: Path) -> Path:
    """A model; treat it as read-only."""
    return train(tmp_path_factory, log, 2000)


@pytest.fixture(scope="session")
def newer(tmp_path_factory: pytest.TempPathFactory, log: Path, trained: Path) -> Path:
    """A model published after ``trained``; treat it as read-only."""
    model = train(tmp_path_factory, log, 3000)
    assert model.name > trained.name
    return model


@pytest.fixture
def models(trained: Path, tmp_path: Path) -> Path:
    """A folder of models that holds one, for this test alone."""
    folder = tmp_path / "models"
    publish(trained, folder)
    return folder


def publish(model: Path, folder: Path) -> Path:
    """Put a copy of a model into a folder of models as training does: whole, by a rename."""
    folder.mkdir(exist_ok=True)
    unfinished = folder / f".unfinished-{model.name}"
    shutil.copytree(model, unfinished)
    return unfinished.rename(folder / model.name)


@pytest.fixture(name="publish")
def publish_fixture() -> Callable[[Path, Path], Path]:
    return publish


def until(condition: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
    """Poll until the condition is true and return it; fail with ``what`` after a while."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    pytest.fail(f"waited {seconds} s in vain: {what}")


@pytest.fixture(name="until")
def until_fixture() -> Callable[..., Any]:
    return until


class Sent(grpc.ClientCallDetails):
    """Details of a call with one more entry of metadata."""

    def __init__(self, details: Any, entry: tuple[str, str]) -> None:
        self.method, self.timeout, self.credentials = details.method, details.timeout, details.credentials
        self.wait_for_ready, self.compression = details.wait_for_ready, details.compression
        self.metadata = [*(details.metadata or ()), entry]


class Bearer(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Sends a token with every call, over plain connections too, where gRPC's own call credentials do not."""

    def __init__(self, token: str) -> None:
        self._entry = ("authorization", f"Bearer {token}")

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        return continuation(Sent(details, self._entry), request)

    intercept_unary_stream = intercept_stream_unary = intercept_stream_stream = intercept_unary_unary


def connect(port: int, credentials: grpc.ChannelCredentials | None = None) -> grpc.Channel:
    """Return a channel that shares its connection with no other."""
    options = [("grpc.max_receive_message_length", 64 << 20), ("grpc.use_local_subchannel_pool", 1)]
    if credentials is None:
        return grpc.insecure_channel(f"127.0.0.1:{port}", options=options)
    return grpc.secure_channel(f"localhost:{port}", credentials, options=options)


@pytest.fixture(name="connect", scope="session")
def connect_fixture() -> Callable[..., grpc.Channel]:
    return connect


@dataclass
class Client:
    """Stubs of a running service."""

    port: int
    metrics_port: int
    token: str = field(default="", kw_only=True)
    credentials: grpc.ChannelCredentials | None = field(default=None, kw_only=True)
    channel: grpc.Channel = field(init=False)

    def __post_init__(self) -> None:
        self.channel = connect(self.port, self.credentials)
        if self.token:
            self.channel = grpc.intercept_channel(self.channel, Bearer(self.token))
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.history = history_service_pb2_grpc.HistoryServiceStub(self.channel)
        self.model = model_service_pb2_grpc.ModelServiceStub(self.channel)
        self.inference = inference_pb2_grpc.GRPCInferenceServiceStub(self.channel)
        self.health = health_pb2_grpc.HealthStub(self.channel)

    def bearer(self, token: str) -> Client:
        """Return a client of the same service with another token."""
        return Client(self.port, self.metrics_port, token=token, credentials=self.credentials)

    def status(self, service: str = "") -> str:
        answer = self.health.Check(health_pb2.HealthCheckRequest(service=service), timeout=10)
        return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)

    def report(self, *events: job_pb2.JobEvent) -> history_service_pb2.ReportJobsResponse:
        return self.history.ReportJobs(iter([history_service_pb2.ReportJobsRequest(events=events)]))

    def scrape(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=10) as answer:
            return str(answer.read().decode())

    def value(self, series: str) -> float:
        """Return the value of a series, written as in the scrape; 0 where it is absent."""
        values = [line.rpartition(" ")[2] for line in self.scrape().splitlines() if line.rpartition(" ")[0] == series]
        return float(values[0]) if values else 0.0


@dataclass
class Running(Client):
    """A service in this process."""

    service: Service


@contextmanager
def served(
    models: Path,
    history: Path,
    *,
    credentials: grpc.ChannelCredentials | None = None,
    token: str = "",
    **changes: Any,
) -> Iterator[Running]:
    """Run a service in this process on free ports until the block ends."""
    # on a machine that does much else, calls that come together wait longer than the transport would let them
    patient = {"port": 0, "metrics_port": 0, "drain_seconds": 5.0, "max_pending_calls": 1_000}
    chosen = settings.read({"models": models, "history": history, **patient, **changes})
    service, stop, failed = Service(chosen), Event(), []

    def run() -> None:
        try:
            service.run(stop)
        except Exception as error:  # noqa: BLE001 - shown by the test that waits
            failed.append(error)

    thread = Thread(target=run)
    thread.start()
    client = Running(service.port, service.metrics_port, service, token=token, credentials=credentials)
    try:
        if not chosen.wait_for_model:
            until(lambda: failed or client.status() == "SERVING", "the service to be ready")
            assert not failed, failed
        yield client
    finally:
        client.channel.close()
        stop.set()
        thread.join()


@pytest.fixture(name="serve", scope="session")
def serve_fixture() -> Callable[..., Any]:
    return served


@pytest.fixture(name="served")
def served_fixture(tmp_path: Path, models: Path) -> Callable[..., Any]:
    """Runs the service with this test's models and history; settings may be changed."""

    def begin(**changes: Any) -> Any:
        return served(**{"models": models, "history": tmp_path / "history", **changes})

    return begin


@pytest.fixture(scope="module")
def client(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service that a module's tests share; they report no jobs to it."""
    base = tmp_path_factory.mktemp("shared")
    publish(trained, base / "models")
    with served(base / "models", base / "history", max_batch_rows=500, max_arrow_rows=600) as running:
        yield running


class Process(Client):
    """The service as its users start it."""

    def __init__(self, arguments: list[str], environment: Mapping[str, str], log: Path) -> None:
        with log.open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "rt_predictor_api", *arguments], env=environment, stderr=stderr
            )
        self._log = log
        self._history = Path(environment["RT_PREDICTOR_HISTORY"])
        ready = until(lambda: self.process.poll() is not None or self.said("listening"), "the service to listen", 120)
        assert ready is not True, log.read_text()
        super().__init__(ready["port"], ready["metrics_port"])

    def lines(self) -> list[dict[str, Any]]:
        """Return what the service has logged; every line must be JSON."""
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    def said(self, event: str) -> dict[str, Any] | None:
        return next((line for line in self.lines() if line["event"] == event), None)

    def lines_of(self, event: str) -> list[dict[str, Any]]:
        """Return all that the service has logged of an event."""
        return [line for line in self.lines() if line["event"] == event]

    def remembered(self) -> int:
        """Return how many forecasts wait on disk for their jobs' ends."""
        with closing(sqlite3.connect(self._history / "forecasts.sqlite3")) as stored:
            return int(stored.execute("SELECT count(*) FROM said").fetchone()[0])

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(60)


@pytest.fixture
def environment(tmp_path: Path, models: Path) -> dict[str, str]:
    """Environment of the service as a process: free ports, this test's folders."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(settings.PREFIX)}
    return kept | {
        "RT_PREDICTOR_MODELS": str(models),
        "RT_PREDICTOR_HISTORY": str(tmp_path / "history"),
        "RT_PREDICTOR_PORT": "0",
        "RT_PREDICTOR_METRICS_PORT": "0",
        "RT_PREDICTOR_WATCH_INTERVAL_SECONDS": "0.1",
    }


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Starts the service as a process; what still runs at the end is killed."""
    started: list[Process] = []

    def begin(*arguments: str, **changes: str) -> Process:
        log = tmp_path / f"service-{len(started)}.log"
        started.append(Process([*arguments], environment | changes, log))
        return started[-1]

    yield begin
    for process in started:
        process.channel.close()
        if process.process.poll() is None:
            process.process.kill()
            process.process.wait()


@pytest.fixture
def fronted(start: Callable[..., Process]) -> Callable[..., Process]:
    """Starts the service with nginx before it."""
    if nginx.program() is None:
        pytest.skip("no nginx here: install Debian's package nginx-light")

    def begin(*arguments: str, **changes: str) -> Process:
        return start("--nginx", *arguments, **changes)

    return begin


@pytest.fixture
def refused(environment: dict[str, str]) -> Callable[..., str]:
    """Runs the command, which must fail, and returns its one line of error."""

    def run(*arguments: str, status: int = 1, **changes: str) -> str:
        ended = subprocess.run(
            [sys.executable, "-m", "rt_predictor_api", *arguments],
            env=environment | changes,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ended.returncode == status
        assert ended.stdout == ""
        (line,) = [line for line in ended.stderr.splitlines() if not line.startswith("{")]
        assert line.startswith("error: ")
        return line

    return run


class RedisServer:
    """A real Redis that keeps what it acknowledges, on a port of its own."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self._folder = folder
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self.start()

    def start(self) -> None:
        options = {"port": self._port, "dir": self._folder, "appendonly": "yes", "appendfsync": "always", "save": '""'}
        flags = [text for name, value in options.items() for text in (f"--{name}", str(value))]
        self._process = subprocess.Popen(["redis-server", *flags], stdout=subprocess.DEVNULL)
        until(self._answers, "Redis to answer")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def clear(self) -> None:
        self.command("flushall")

    def command(self, *words: str) -> Any:
        with Redis.from_url(self.url) as client:
            return client.execute_command(*words)

    def _answers(self) -> bool:
        try:
            return bool(self.command("ping"))
        except RedisError:
            return False


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis for the tests of this session, one after the other."""
    if shutil.which("redis-server") is None:
        pytest.skip("no redis-server here: install Debian's package redis-server")
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


def job(**fields: Any) -> job_pb2.Job:
    """Return a job of a user whom no log knows, at a fixed time; ``fields`` change it."""
    submit_time = fields.pop("submit_time", NOW)
    given = {"user": "ada", "wallclock_req": 7200, "nodes_req": 2, "processors_req": 72, "name": "relax_7"} | fields
    made = job_pb2.Job(**{name: value for name, value in given.items() if value is not None})
    if submit_time is not None:
        made.submit_time.CopyFrom(Timestamp(seconds=submit_time))
    return made


@pytest.fixture(name="job", scope="session")
def job_fixture() -> Callable[..., job_pb2.Job]:
    return job


@pytest.fixture(name="event", scope="session")
def event_fixture() -> Callable[..., job_pb2.JobEvent]:
    def make(number: int, run_time: int | None = 600, **fields: Any) -> job_pb2.JobEvent:
        """Return the end of a job, or its start where ``run_time`` [s] is None."""
        submitted = NOW - 100_000 + 10 * number
        made = job_pb2.JobEvent(job=job(job_id=str(number), submit_time=submitted, **fields))
        made.start_time.FromSeconds(submitted + 5)
        if run_time is not None:
            made.end_time.FromSeconds(submitted + 5 + run_time)
            made.state = job_pb2.JOB_STATE_COMPLETED
        return made

    return make


@pytest.fixture
def audited(caplog: pytest.LogCaptureFixture) -> Callable[[str], list[dict[str, Any]]]:
    """Returns the lines of the audit log about one act."""

    def lines(act: str) -> list[dict[str, Any]]:
        records = [record.msg for record in caplog.records if record.name == "audit"]
        assert all(line["logger"] == "audit" for line in records)
        return [line for line in records if line["event"] == act]

    return lines


@pytest.fixture
def access_file(tmp_path: Path) -> Callable[..., tuple[Path, dict[str, str]]]:
    """Writes an access file: tokens of the named scopes, and lines as they are; returns it and the tokens."""
    from rt_predictor_api.security import access

    def write(*lines: str, **scopes: str) -> tuple[Path, dict[str, str]]:
        issued = {name: access.issue(name, given.split(",")) for name, given in scopes.items()}
        path = tmp_path / "access"
        replace(path, "\n".join([*lines, *(line for _, line in issued.values())]) + "\n")
        return path, {name: token for name, (token, _) in issued.items()}

    return write


def replace(path: Path, content: str | bytes) -> None:
    """Give a file other contents at once, as a careful writer does."""
    aside = path.with_name(f".{path.name}.new")
    aside.write_bytes(content.encode() if isinstance(content, str) else content)
    aside.rename(path)


@pytest.fixture(name="replace", scope="session")
def replace_fixture() -> Callable[[Path, str | bytes], None]:
    return replace


@dataclass
class Refusal:
    """A failed call: status, text, fields that break a rule, reason and parts of the problem, when to retry [s]."""

    code: str
    text: str
    fields: dict[str, str]
    reason: str
    parts: dict[str, str]
    retry_seconds: float


def refusal(call: Callable[[], Any]) -> Refusal:
    """Return how a call fails; it must, and with typed details."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    status = rpc_status.from_call(caught.value)
    assert status is not None, caught.value
    bad, info, retry = error_details_pb2.BadRequest(), error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    for detail in status.details:
        assert detail.Unpack(bad) or detail.Unpack(info) or detail.Unpack(retry)
    assert info.domain == "rtpredictor.v1"
    fields = {violation.field: violation.description for violation in bad.field_violations}
    wait = retry.retry_delay.ToTimedelta().total_seconds()
    return Refusal(caught.value.code().name, status.message, fields, info.reason, dict(info.metadata), wait)


@pytest.fixture(name="refusal", scope="session")
def refusal_fixture() -> Callable[[Callable[[], Any]], Refusal]:
    return refusal
