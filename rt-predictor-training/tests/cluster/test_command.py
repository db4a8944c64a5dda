"""What a person is told when a cluster cannot be used, and what is left when a command is ended."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from signal import SIGTERM

import distributed.versions
import psutil
import pytest
from distributed import LocalCluster

from rt_predictor_core.sources.synthetic import write_parquet
from rt_predictor_formats.errors import Problem
from rt_predictor_training.cluster import command, start
from rt_predictor_training.cluster.command import engine_of
from rt_predictor_training.profiles import load_profile

PROFILE = replace(load_profile("quick"), threads=1)
DEADLINE = 60.0
"""How long processes may take to end [s]."""


def refused(where: str | None, workers: int | None = None, wait_minutes: float = 1.0) -> Problem:
    with pytest.raises(Problem) as raised, engine_of(where, workers, wait_minutes, PROFILE):
        pass
    return raised.value


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """Return the address of a scheduler that has no workers."""
    with LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0") as cluster:
        yield cluster.scheduler_address


def test_workers_need_a_cluster_and_a_cluster_has_a_known_place() -> None:
    assert refused(None, workers=2).code == "OPTIONS"
    assert refused("elsewhere").code == "OPTIONS"


def test_without_the_extra_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_NEEDED", ("dask", "not_there"))
    problem = refused("local")
    assert (problem.code, problem.thing) == ("CLUSTER_EXTRA", "not_there: not installed")
    assert "rt-predictor-training[cluster]" in problem.remedy


def test_a_scheduler_that_does_not_answer_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "CONNECT_SECONDS", 0.5)
    assert refused("tcp://127.0.0.1:9").code == "CLUSTER_UNREACHABLE"
    assert refused("tcp://no-such-host.invalid:8786").code == "CLUSTER_UNREACHABLE"


def test_a_cluster_without_workers_is_a_problem_after_the_time_to_wait(scheduler: str) -> None:
    assert refused(scheduler, wait_minutes=0.01).code == "CLUSTER_EMPTY"


def test_a_worker_with_another_version_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = distributed.versions._version_cached
    monkeypatch.setattr(
        distributed.versions, "_version_cached", lambda name: "0.1" if name == "lightgbm" else ours(name)
    )
    # the scheduler is of this process, the worker one of its own
    problem = refused("local", workers=1)
    assert problem.code == "CLUSTER_VERSIONS"
    assert problem.place.startswith("tcp://127.0.0.1:")
    assert problem.thing.startswith("lightgbm ")
    assert problem.thing.endswith(" (here 0.1)")


def test_slurm_without_a_job_s_size_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    problem = refused("slurm")
    assert (problem.code, problem.thing) == ("CLUSTER_SLURM", "jobqueue.slurm: cores and memory of a job not set")


def test_no_worker_is_left_when_the_command_is_ended(tmp_path: Path) -> None:
    log = tmp_path / "log.parquet"
    write_parquet(log, 3000, 7)
    options = ["--data", log, "--models", tmp_path / "models", "--profile", "standard", "--cluster", "local"]
    training = subprocess.Popen(
        [Path(sys.executable).parent / "rt-predictor-train", *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert training.stderr is not None
    # the stage begins, and takes long
    assert any(line.startswith("fit") for line in training.stderr)
    begun = psutil.Process(training.pid).children(recursive=True)
    assert len(begun) >= 2
    training.terminate()
    training.communicate(timeout=DEADLINE)
    assert training.returncode == 128 + SIGTERM
    _, alive = psutil.wait_procs(begun, timeout=DEADLINE)
    assert alive == []
