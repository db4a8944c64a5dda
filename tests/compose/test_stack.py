"""The services in containers, end to end: built, trained, asked, restarted, removed.

The stack is that of a copy of the tree, with names, ports and images of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import pytest

pytestmark = [pytest.mark.compose, pytest.mark.timeout(1500)]

ROOT = Path(__file__).resolve().parents[2]
TRACES = Path(os.environ.get("RT_PREDICTOR_TRACES", ROOT.parent / "shared/traces"))
TAG = "compose-test"
SERVICES = ("training", "api", "ui")
LEFT_BEHIND = {".git", ".venv", "run", "logs", "models", "history", "data"}
"""What runs leave at the root; packages inside have folders of the same names."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def left_out(folder: str, names: list[str]) -> list[str]:
    """Return what a copy of the tree does without."""
    left = {"__pycache__", ".hypothesis"} | (LEFT_BEHIND if Path(folder) == ROOT else set())
    return [name for name in names if name in left or name.endswith("cache")]


def docker(*words: str) -> str:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=True).stdout.strip()


@dataclass(frozen=True)
class Stack:
    """A Compose project: its folder, its name, and the ports that it publishes."""

    folder: Path
    name: str
    port: int
    metrics_port: int
    ui_port: int
    prometheus_port: int
    data: Path | None

    @property
    def environment(self) -> dict[str, str]:
        """What the scripts are told."""
        return os.environ | {
            "COMPOSE_PROJECT_NAME": self.name,
            "RT_PREDICTOR_TAG": TAG,
            "RT_PREDICTOR_PORT": str(self.port),
            "RT_PREDICTOR_METRICS_PORT": str(self.metrics_port),
            "RT_PREDICTOR_UI_PORT": str(self.ui_port),
            "RT_PREDICTOR_PROMETHEUS_PORT": str(self.prometheus_port),
            "DATA": str(self.data or ""),
            "ROWS": "5000",
            "PROFILE": "quick",
            "LOCAL": "",
            "RT_PREDICTOR_TRAINING_CPUS": "1",
        }

    def make(self, target: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a make target as a user would."""
        command = ["make", "--no-print-directory", target]
        return subprocess.run(
            command, cwd=self.folder, env=self.environment | variables, capture_output=True, text=True, check=False
        )

    def made(self, target: str, **variables: str) -> str:
        """Run a make target that must succeed."""
        done = self.make(target, **variables)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout

    def rtp(self, *words: str) -> Any:
        """Ask through the published port, as a user of this machine does; the JSON document of the answer."""
        rtp = Path(sys.executable).parent / "rtp"
        command = [rtp, "--address", f"localhost:{self.port}", *words, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def containers(self) -> list[str]:
        """Return the ids of the project's containers, running or not."""
        return docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={self.name}").split()

    def volumes(self) -> list[str]:
        """Return the names of the project's volumes."""
        return docker("volume", "ls", "-q", "--filter", f"label=com.docker.compose.project={self.name}").split()

    def container(self, service: str) -> str:
        """Return the id of a service's container."""
        label = f"label=com.docker.compose.service={service}"
        return docker("ps", "-q", "--filter", f"label=com.docker.compose.project={self.name}", "--filter", label)


def eventually(look: Callable[[], Any], wanted: Callable[[Any], bool], seconds: float = 60.0) -> Any:
    """Look until what is seen is wanted; the last sight if the deadline passes."""
    deadline = monotonic() + seconds
    while not wanted(seen := look()) and monotonic() < deadline:
        sleep(0.5)
    return seen


def fetched(url: str) -> str:
    with urlopen(url, timeout=5) as answer:  # noqa: S310 - an address of this machine
        return str(answer.read().decode())


@pytest.fixture(scope="session")
def new_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Stack]]:
    """Make projects in copies of the tree; removes them, and nothing else, at the end."""
    made: list[Stack] = []

    def new(name: str) -> Stack:
        folder = tmp_path_factory.mktemp(name) / "tree"
        shutil.copytree(ROOT, folder, ignore=left_out)
        data = None
        if (log := TRACES / "HPC2N-2002-first3170.swf.gz").is_file():
            data = folder / log.name
            shutil.copy(log, data)
            data.chmod(0o644)
        stack = Stack(folder, f"{name}{os.getpid()}", *(free_port() for _ in range(4)), data)
        made.append(stack)
        return stack

    yield new
    for stack in made:
        stack.make("clean-all")


@pytest.fixture(scope="session")
def stack(new_stack: Callable[[str], Stack]) -> Stack:
    """Return a built, trained and started stack."""
    stack = new_stack("rtptest")
    for target in ("build", "train", "start"):
        stack.made(target)
    return stack


JOB = "#!/bin/bash\n#SBATCH --time=04:00:00 --nodes=1 --ntasks=4\nsrun ./model\n"
EVENTS = (
    "JobID|User|Account|Partition|QOS|Timelimit|NNodes|ReqCPUS|Submit|Start|End|State|JobName\n"
    "9001|ada|hydro|work|normal|04:00:00|1|4|1700000000|1700000060|1700007260|COMPLETED|model\n"
    "9002|ada|hydro|work|normal|04:00:00|1|4|1700010000|1700010060|1700017260|COMPLETED|model\n"
)


def predicted(stack: Stack, user: str) -> dict[str, Any]:
    job = stack.folder.parent / "job.sh"
    job.write_text(JOB, encoding="utf-8")
    forecast = stack.rtp("predict", str(job), "--user", user)["forecast"]
    assert isinstance(forecast, dict)
    return forecast


def test_the_published_port_predicts(stack: Stack) -> None:
    document = predicted(stack, "nobody-yet")
    assert document["median_seconds"] > 0
    assert document["lower_seconds"] <= document["median_seconds"] <= document["upper_seconds"]


def test_the_model_is_the_trained_one(stack: Stack) -> None:
    versions = docker("exec", stack.container("api"), "ls", "/models").split()
    assert predicted(stack, "nobody-yet")["model_version"] == max(versions)


def test_prometheus_sees_the_metrics_of_the_api(stack: Stack) -> None:
    predicted(stack, "nobody-yet")

    def asked(query: str) -> list[dict[str, object]]:
        url = f"http://localhost:{stack.prometheus_port}/api/v1/query?query={quote(query)}"
        return list(json.loads(fetched(url))["data"]["result"])

    up = eventually(lambda: asked('up{job="rt-predictor-api"} == 1'), bool)
    assert len(up) == 1
    names = [line.split("{")[0].split()[0] for line in metrics(stack) if line.startswith("rtpredictor_")]
    assert names
    assert eventually(lambda: asked(names[0]), bool)


def metrics(stack: Stack) -> list[str]:
    return fetched(f"http://localhost:{stack.metrics_port}/metrics").splitlines()


def test_the_page_answers(stack: Stack) -> None:
    assert "<title>" in fetched(f"http://localhost:{stack.ui_port}/")


def test_stop_and_start_keep_the_model_and_what_was_reported(stack: Stack) -> None:
    before = predicted(stack, "ada")
    report = stack.folder.parent / "ended.txt"
    report.write_text(EVENTS, encoding="utf-8")
    stack.rtp("report", str(report))
    learned = predicted(stack, "ada")
    assert learned["median_seconds"] != before["median_seconds"]
    stack.made("stop")
    assert stack.container("api") == ""
    stack.made("start")
    again = predicted(stack, "ada")
    for field in ("median_seconds", "model_version", "history_jobs"):
        assert again[field] == learned[field]


def test_starting_again_changes_nothing(stack: Stack) -> None:
    before = sorted(stack.containers())
    stack.made("start")
    assert sorted(stack.containers()) == before


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_runs_without_root_and_without_a_compiler(stack: Stack, service: str) -> None:
    image = f"rt-predictor-{service}:{TAG}"
    docker("image", "inspect", image)
    look = "id -u; command -v gcc cc c++ uv || true"
    assert docker("run", "--rm", "--network", "none", "--entrypoint", "sh", image, "-c", look).split() == ["10001"]
    assert stack.containers()


def test_training_on_a_broken_log_is_one_line_and_leaves_the_model_alone(stack: Stack, tmp_path: Path) -> None:
    broken = tmp_path / "log.csv"
    broken.write_text("a,b\n1,2\n", encoding="utf-8")
    before = docker("exec", stack.container("api"), "ls", "/models")
    done = stack.make("train", DATA=str(broken))
    assert done.returncode != 0
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done.stderr
    assert "log.csv" in errors[0]
    assert "Traceback" not in done.stderr + done.stdout
    assert docker("exec", stack.container("api"), "ls", "/models") == before


def test_the_overlay_gives_the_services_more(stack: Stack) -> None:
    files = ["-f", "docker-compose.yml", "-f", "docker-compose.m2max.yml"]
    text = (stack.folder / files[3]).read_text(encoding="utf-8")
    assert {"48g", "8g", "4g"} <= set(text.split())
    stack.made("start", PROFILE="m2max")
    limits = {
        name: int(docker("inspect", "-f", "{{.HostConfig.Memory}}", stack.container(name))) for name in ("api", "ui")
    }
    stack.made("start")
    assert limits == {"api": 8 << 30, "ui": 4 << 30}


def test_clean_and_clean_all_remove_what_they_say_and_nothing_else(
    stack: Stack, new_stack: Callable[[str], Stack]
) -> None:
    own = new_stack("rtpclean")
    foreign_volume = docker("volume", "create", f"{own.name}-foreign")
    image = f"rt-predictor-api:{TAG}"
    foreign = docker("run", "-d", "--entrypoint", "sleep", "-v", f"{foreign_volume}:/kept", image, "600")
    keep = own.folder / "models" / "mine.txt"
    keep.parent.mkdir()
    keep.write_text("a folder of local processes is not Compose's", encoding="utf-8")
    try:
        own.made("train")
        own.made("start")
        own.made("clean")
        assert own.containers() == []
        assert {volume.removeprefix(f"{own.name}_") for volume in own.volumes()} >= {"models", "history"}
        own.made("start")
        assert predicted(own, "nobody-yet")["median_seconds"] > 0
        # the images are shared with the stack of the other tests
        own.made("clean-all", RT_PREDICTOR_TAG="no-such-tag")
        assert own.containers() == []
        assert own.volumes() == []
        assert docker("inspect", "-f", "{{.State.Running}}", foreign) == "true"
        assert foreign_volume in docker("volume", "ls", "-q").split()
        assert stack.container("api")
        assert keep.exists()
    finally:
        docker("rm", "-fv", foreign)
        docker("volume", "rm", "-f", foreign_volume)
