"""The images run as k8s/ confines them: a read-only root, no capabilities, nowhere to write but the volumes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

import manifests
from manifests import Document
from stacks import docker, inside, processes

pytestmark = [pytest.mark.compose, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[2]
TAG = "confined-test"
TOUCH = """
try:
    open("/opt/x", "w")
except OSError as error:
    print(error)
"""
TRAIN = """
import os, subprocess
subprocess.run(["rt-predictor-synthesize", "--rows", "600", "--out", "/tmp/jobs.parquet"], check=True)
words = ["--data", "/tmp/jobs.parquet", "--models", "/models", "--profile", "quick", "--memory", "2"]
os.execvp("rt-predictor-train", ["rt-predictor-train", *words])
"""

Start = Callable[..., str]


def until(condition: Callable[[], Any], what: Callable[[], str], seconds: float = 180.0) -> None:
    """Poll until the condition holds."""
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline, what()
        sleep(0.3)


@pytest.fixture(scope="module", autouse=True)
def _images() -> Iterator[None]:
    """Images of this tree, with a tag of their own."""
    building = subprocess.run(
        [ROOT / "scripts/compose.sh", "build"],
        env=os.environ | {"RT_PREDICTOR_TAG": TAG},
        capture_output=True,
        text=True,
        check=False,
    )
    assert building.returncode == 0, building.stderr[-3000:]
    yield
    for name in ("api", "ui", "training"):
        docker("image", "rm", f"rt-predictor-{name}:{TAG}")


def confined(found: list[Document], template: Document, container: Document) -> list[str]:
    """Return what makes Docker run a container as the cluster would."""
    pod, own = template["spec"]["securityContext"], container["securityContext"]
    assert own["readOnlyRootFilesystem"]
    assert not own["allowPrivilegeEscalation"]
    words = ["--read-only", "--security-opt", "no-new-privileges", "--user", f"{pod['runAsUser']}:{pod['runAsGroup']}"]
    words += [word for dropped in own["capabilities"]["drop"] for word in ("--cap-drop", dropped)]
    for mount in container["volumeMounts"]:
        # a cluster's empty volume is for everyone to write, but Docker gives a tmpfs the mode of the image's folder;
        # exec, because numba loads what it has compiled
        options = f"uid={pod['runAsUser']},gid={pod['fsGroup']},exec" + (",ro" if mount.get("readOnly") else "")
        words += ["--tmpfs", f"{mount['mountPath']}:{options}"]
    variables = manifests.environment(found, container)
    return words + [word for name, value in variables.items() for word in ("--env", f"{name}={value}")]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a container of the dev overlay; what runs is removed at the end."""
    started: list[str] = []

    def begin(name: str, *words: str, entrypoint: str = "") -> str:
        found = manifests.documents("dev")
        template, container = next(pair for pair in manifests.containers(found) if pair[1]["name"] == name)
        flags = confined(found, template, container) + (["--entrypoint", entrypoint] if entrypoint else [])
        started.append(docker("run", "--detach", *flags, f"rt-predictor-{name}:{TAG}", *words))
        return started[-1]

    yield begin
    for one in started:
        docker("rm", "--force", "--volumes", one)


def runs(container: str) -> bool:
    return docker("inspect", "--format", "{{.State.Running}}", container) == "true"


def said(container: str) -> str:
    done = subprocess.run(["docker", "logs", container], capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def test_the_api_answers_its_probes(start: Start) -> None:
    api = start("api")
    until(lambda: not runs(api) or '"listening"' in said(api), lambda: said(api))
    assert runs(api), said(api)
    asked = subprocess.run(["docker", "exec", api, "rtp", "health"], capture_output=True, text=True, check=False)
    assert asked.stdout.startswith("NOT_SERVING"), "it waits for a model: " + asked.stderr
    assert processes(api, "nginx"), "who asked was answered through it"
    assert "Read-only" in inside(api, TOUCH)
    assert inside(api, "import os; print(os.getuid())") == "10001"
    assert "CapEff:\t0000000000000000" in inside(api, "print(open('/proc/1/status').read())")


def test_the_pages_answer_their_probes(start: Start) -> None:
    ui = start("ui")
    path = manifests.container(manifests.documents("dev"), "ui")["readinessProbe"]["httpGet"]["path"]
    ask = f"from urllib.request import urlopen; urlopen('http://localhost:8501{path}', timeout=4)"
    until(
        lambda: not runs(ui) or not subprocess.run(["docker", "exec", ui, "python", "-c", ask], check=False).returncode,
        lambda: said(ui),
    )
    assert runs(ui), said(ui)


def test_training_writes_where_it_may(start: Start) -> None:
    training = start("training", "-c", TRAIN, entrypoint="python")
    until(lambda: not runs(training), lambda: said(training), 600)
    assert "published /models/" in said(training)
