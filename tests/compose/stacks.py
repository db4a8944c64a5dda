"""A Compose project as its user sees it: the scripts, the published ports, the engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import grpc
from free_ports import free_port
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from rt_predictor_client import Client
from rtpredictor.v1 import job_pb2, prediction_service_pb2, prediction_service_pb2_grpc

TAG = "compose-test"
JOB: dict[str, Any] = {"wallclock_req": 14_400, "nodes_req": 1, "processors_req": 4, "name": "model"}
PAGE = """
from streamlit.testing.v1 import AppTest
page = AppTest.from_file('/app/app.py', default_timeout=60).run()
assert not page.exception, page.exception
print(*(caption.value for caption in page.caption))
"""
"""Opens the first page in the UI's container, and prints its small print, where the state of the service stands."""

KILL = """
import os, pathlib, signal
for child in pathlib.Path("/proc/1/task/1/children").read_text().split():
    os.kill(int(child), signal.SIGKILL)
"""
"""Kills what the first process of a container started: an engine does not restart what it is told to kill itself."""

PROCESSES = """
import pathlib
for process in pathlib.Path("/proc").glob("[0-9]*"):
    print(process.name, (process / "comm").read_text().strip())
"""
"""Prints the number and the name of each process of a container."""


def docker(*words: str, **options: Any) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout.strip()


def inside(container: str, code: str) -> str:
    """Run Python in a container, as the images have no shell; return what it prints."""
    return docker("exec", container, "python", "-c", code)


def processes(container: str, name: str) -> list[int]:
    """Return the numbers of the processes of that name in a container."""
    return [
        int(number)
        for number, _, its in (line.partition(" ") for line in inside(container, PROCESSES).splitlines())
        if its == name
    ]


def is_ready(container: str) -> bool:
    """Return what an API's own check says."""
    return not subprocess.run(["docker", "exec", container, "rt-predictor-api", "ready"], check=False).returncode


def logged(container: str) -> str:
    """Return what a container wrote, to either stream."""
    done = subprocess.run(
        ["docker", "logs", container], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True
    )
    return done.stdout


def eventually(look: Callable[[], Any], wanted: Callable[[Any], bool] = bool, seconds: float = 120.0) -> Any:
    """Look until what is seen is wanted, and return it; fails with the last sight after the deadline."""
    deadline = monotonic() + seconds
    while not wanted(seen := look()):
        assert monotonic() < deadline, seen
        sleep(0.2)
    return seen


def fetched(url: str) -> str:
    with urlopen(url, timeout=10) as answer:  # noqa: S310 - an address of this machine
        return str(answer.read().decode())


def ended(job_id: str, user: str = "ada", seconds: int = 7_200) -> dict[str, Any]:
    """Return the end of a job, as it is reported."""
    submit = 1_700_000_000
    times = {"submit_time": submit, "start_time": submit + 60, "end_time": submit + 60 + seconds}
    return {**JOB, "user": user, "job_id": job_id, "state": "COMPLETED", **times}


@dataclass(frozen=True)
class Stack:
    """A Compose project: its folder, its name, its log to train on, and the ports that it publishes."""

    folder: Path
    name: str
    data: Path | None
    port: int = field(default_factory=free_port)
    metrics_port: int = field(default_factory=free_port)
    ui_port: int = field(default_factory=free_port)
    prometheus_port: int = field(default_factory=free_port)
    alertmanager_port: int = field(default_factory=free_port)

    @property
    def environment(self) -> dict[str, str]:
        """What the scripts are told."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("RT_PREDICTOR_")}
        return clean | {
            "COMPOSE_PROJECT_NAME": self.name,
            "RT_PREDICTOR_TAG": TAG,
            "RT_PREDICTOR_PORT": str(self.port),
            "RT_PREDICTOR_METRICS_PORT": str(self.metrics_port),
            "RT_PREDICTOR_UI_PORT": str(self.ui_port),
            "RT_PREDICTOR_PROMETHEUS_PORT": str(self.prometheus_port),
            "RT_PREDICTOR_ALERTMANAGER_PORT": str(self.alertmanager_port),
            "RT_PREDICTOR_WATCH_INTERVAL_SECONDS": "1",
            "RT_PREDICTOR_START_SECONDS": "300",
            "DATA": str(self.data or ""),
            "ROWS": "5000",
            "PROFILE": "quick",
            "LOCAL": "",
            "RT_PREDICTOR_TRAINING_CPUS": "1",
        }

    def run(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the tree as a user would."""
        return subprocess.run(
            command, cwd=self.folder, env=self.environment | variables, capture_output=True, text=True, check=False
        )

    def make(self, target: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return self.run("make", "--no-print-directory", target, **variables)

    def made(self, target: str, **variables: str) -> str:
        """Run a make target that must succeed."""
        done = self.make(target, **variables)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout

    def compose(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run Compose itself, in whichever form it is here."""
        second = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0
        return self.run(*(["docker", "compose"] if second else ["docker-compose"]), *words)

    def rtp(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Ask through the published port, as a user of this machine does."""
        command = [Path(sys.executable).parent / "rtp", "--address", f"localhost:{self.port}", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def client(self) -> Client:
        """Return a client through the published port."""
        return Client(f"localhost:{self.port}", timeout_seconds=60, breaker=None)

    def containers(self) -> list[str]:
        """Return the ids of the project's containers, running or not."""
        return docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={self.name}").split()

    def volumes(self) -> set[str]:
        """Return the names of the project's volumes, without the project's."""
        found = docker("volume", "ls", "-q", "--filter", f"label=com.docker.compose.project={self.name}").split()
        return {name.removeprefix(f"{self.name}_") for name in found}

    def all_of(self, service: str) -> list[str]:
        """Return the ids of a service's running containers."""
        label = f"label=com.docker.compose.service={service}"
        return docker(
            "ps", "-q", "--filter", f"label=com.docker.compose.project={self.name}", "--filter", label
        ).split()

    def container(self, service: str) -> str:
        """Return the id of a service's only container."""
        (found,) = self.all_of(service)
        return found

    def page(self) -> str:
        """Return the small print of the UI's first page."""
        return inside(self.container("ui"), PAGE)

    def metrics(self) -> dict[str, float]:
        """Return the API's series."""
        told = fetched(f"http://localhost:{self.metrics_port}/metrics").splitlines()
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in told if not line.startswith("#")}

    def query(self, query: str) -> list[dict[str, Any]]:
        """Return what Prometheus says."""
        url = f"http://localhost:{self.prometheus_port}/api/v1/query?query={quote(query)}"
        return list(json.loads(fetched(url))["data"]["result"])

    def alerts(self) -> list[dict[str, Any]]:
        """Return what Alertmanager was told."""
        return list(json.loads(fetched(f"http://localhost:{self.alertmanager_port}/api/v2/alerts")))

    def versions(self) -> list[str]:
        """Return the models' versions, oldest first."""
        return sorted(inside(self.container("api"), "import os; print(*os.listdir('/models'))").split())


@dataclass
class Load:
    """Calls that are made on and on; what was answered, and what failed."""

    answered: int = 0
    failed: list[Exception] = field(default_factory=list)

    def goes_on(self, calls: int = 20) -> None:
        """Return when so many more are answered."""
        goal = self.answered + calls
        eventually(lambda: self.failed or self.answered >= goal)


@contextmanager
def load(ask: Callable[[int], object], threads: int = 2) -> Iterator[Load]:
    """Call ``ask`` with one number after the other while the block lasts."""
    stop, made = Event(), Load()
    numbers = count()

    def flow() -> None:
        while not stop.is_set():
            try:
                ask(next(numbers))
                made.answered += 1
            except Exception as error:  # noqa: BLE001 - the test looks at them
                made.failed.append(error)

    flows = [Thread(target=flow) for _ in range(threads)]
    for one in flows:
        one.start()
    try:
        made.goes_on()
        yield made
    finally:
        stop.set()
        for one in flows:
            one.join()


def question(number: int) -> prediction_service_pb2.PredictRequest:
    job = job_pb2.Job(user=f"user{number}", wallclock_req=3_600, nodes_req=1)
    return prediction_service_pb2.PredictRequest(job=job)


@contextmanager
def connection(port: int) -> Iterator[grpc.Channel]:
    """Yield one connection on which nothing is tried again."""
    options = [("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(f"localhost:{port}", options=options) as opened:
        yield opened


@dataclass
class Flood:
    """Calls that were made at once: how many were answered, how many refused with a hint, and the others."""

    answered: int = 0
    refused: int = 0
    others: list[str] = field(default_factory=list)


def flooded(channel: grpc.Channel, seen: Flood, calls: int = 300) -> Flood:
    """Make many calls at once, none like another, and count what becomes of them."""
    ask = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict
    made = [ask.future(question(next(_NUMBERS)), timeout=120) for _ in range(calls)]
    for call in made:
        if (error := call.exception()) is None:
            seen.answered += 1
        elif call.code() == grpc.StatusCode.RESOURCE_EXHAUSTED and _hinted(call):
            seen.refused += 1
        else:
            seen.others.append(repr(error))
    return seen


def _hinted(call: Any) -> bool:
    """Return whether a refusal says when to try again."""
    retry = error_details_pb2.RetryInfo()
    status = rpc_status.from_call(call)
    return status is not None and any(part.Unpack(retry) for part in status.details) and retry.retry_delay.nanos > 0


_NUMBERS = count(1_000_000)
