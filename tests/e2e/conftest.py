"""Real processes from the console scripts of this environment: a log, a model, a service, a client."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from free_ports import free_port
from made_once import made_once

from rt_predictor_core.requests import NUMBERS, TEXTS
from rtpredictor.v1 import job_pb2

BIN = Path(sys.executable).parent
JOBS = 3000
DEADLINE = 240.0
"""How long a process may take to do what a test waits for [s]; compiling the kernels takes most of it."""


Command = Callable[..., subprocess.CompletedProcess[str]]
MakeMessage = Callable[[Mapping[str, Any], int], job_pb2.Job]
SMALL = {"trees": 40, "threads": 1}


def run_command(name: str, *arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a console script to its end."""
    return subprocess.run(
        [str(BIN / name), *map(str, arguments)],
        env={**clean_environment(), **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )


def clean_environment() -> dict[str, str]:
    """Return the environment without settings that a developer may have set."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RT_PREDICTOR_")}
    # threads that spin while they wait would slow down every other test on the same cores
    return {**kept, "OMP_WAIT_POLICY": "passive"}


@pytest.fixture(name="environment")
def environment_fixture() -> dict[str, str]:
    """Return the environment without settings that a developer may have set."""
    return clean_environment()


@dataclass
class Server:
    """The API as its own process, on ports and a history of its own."""

    models: Path
    folder: Path
    port: int = field(default_factory=free_port)
    metrics_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where clients find it."""
        return f"localhost:{self.port}"

    @property
    def log(self) -> Path:
        """What it writes."""
        return self.folder / "api.log"

    def start(self) -> None:
        """Start it and wait until it answers; a deadline and an early end fail the test with its last words."""
        options = {"models": self.models, "history": self.folder / "history"}
        options |= {"port": self.port, "metrics-port": self.metrics_port}
        flags = [f"--{name}={value}" for name, value in options.items()]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [str(BIN / "rt-predictor-api"), *flags], env=clean_environment(), stdout=log, stderr=log
            )
        wait_until(self._answers, self._last_words)

    def kill(self) -> None:
        """End it with SIGKILL: no handler runs, nothing is flushed."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """End it with SIGTERM; return its exit status."""
        return self._end(signal.SIGTERM)

    def rtp(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run the client against it."""
        return run_command("rtp", *arguments, RT_PREDICTOR_ADDRESS=self.address)

    def forecast(self, script: Path, user: str) -> dict[str, object]:
        """Return what ``rtp predict --json`` says of a job script."""
        done = self.rtp("predict", script, "--user", user, "--json")
        assert done.returncode == 0, done.stderr
        answer: dict[str, object] = json.loads(done.stdout)["forecast"]
        return answer

    def metrics(self) -> str:
        """Return what Prometheus would scrape."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=10) as answer:
            return str(answer.read().decode())

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self._last_words()
        return self.rtp("health").returncode == 0

    def _last_words(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")[-2000:]

    def _end(self, number: signal.Signals) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout=60)


def wait_until(holds: Callable[[], bool], otherwise: Callable[[], str]) -> None:
    """Poll until something holds; fail with a text after the deadline."""
    end = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < end, otherwise()
        time.sleep(0.1)


@pytest.fixture(name="until")
def until_fixture() -> Callable[[Callable[[], bool], Callable[[], str]], None]:
    """Return what polls until something holds."""
    return wait_until


@pytest.fixture(name="command")
def command_fixture() -> Command:
    """Return what runs a console script to its end."""
    return run_command


def make_request_message(job: Mapping[str, Any], submit: int) -> job_pb2.Job:
    """Return a request, by canonical names, as the contract's message."""
    message = job_pb2.Job(submit_time={"seconds": submit})
    for name in {*TEXTS, *NUMBERS}.intersection(job_pb2.Job.DESCRIPTOR.fields_by_name):
        value = job.get(name)
        if value is not None:
            setattr(message, name, int(value) if isinstance(value, float) and name != "mem_req" else value)
    return message


@pytest.fixture(name="request_message")
def request_message_fixture() -> MakeMessage:
    """Return what makes the contract's message of a request."""
    return make_request_message


@pytest.fixture(scope="session")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a synthetic accounting log, made once for all workers."""

    def make(path: Path) -> None:
        done = run_command("rt-predictor-synthesize", "--rows", str(JOBS), "--out", path)
        assert done.returncode == 0, done.stderr

    return made_once(tmp_path_factory, "e2e.parquet", make)


@pytest.fixture(scope="session")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the quick profile with few trees, on one thread: other tests run at the same time."""
    quick = (files("rt_predictor_training") / "profiles" / "quick.toml").read_text(encoding="utf-8")
    small, changed = re.subn(
        r"^(trees|threads) = \d+", lambda found: f"{found[1]} = {SMALL[found[1]]}", quick, flags=re.MULTILINE
    )
    assert changed == len(SMALL)
    path = tmp_path_factory.mktemp("profile") / "small.toml"
    path.write_text(small, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def models(log: Path, profile: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with one model of the log, trained once for all workers; tests that change it copy it."""

    def make(path: Path) -> None:
        done = run_command("rt-predictor-train", "--data", log, "--models", path, "--profile", profile)
        assert done.returncode == 0, done.stderr

    return made_once(tmp_path_factory, "e2e-models", make)


@pytest.fixture
def server(models: Path, tmp_path: Path) -> Iterator[Server]:
    """Return a running API with an empty history, for a test that ends it."""
    yield from running(Server(models, tmp_path))


@pytest.fixture(scope="session")
def lasting_server(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a running API for the tests that only ask: starting one takes seconds."""
    yield from running(Server(models, tmp_path_factory.mktemp("api")))


def running(server: Server) -> Iterator[Server]:
    """Start a server, and end it afterwards whatever happens."""
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="session")
def example(models: Path) -> dict[str, str | float | None]:
    """Return the request of a user whom the model knows."""
    found: dict[str, str | float | None] = json.loads(next(models.glob("*/example.json")).read_text(encoding="utf-8"))
    return found


@pytest.fixture
def script(models: Path, tmp_path: Path) -> Path:
    """Return the example as the job script that a first prediction is made from."""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, str(root / "scripts/example_job.py"), str(models)], capture_output=True, text=True, check=True
    )
    path = tmp_path / "job.sh"
    path.write_text(done.stdout, encoding="utf-8")
    return path
