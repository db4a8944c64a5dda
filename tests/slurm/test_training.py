"""Training on jobs of a real Slurm: they come, they fit, they are gone; one that is lost stops nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import rt_predictor_training
from rt_predictor_core.artifact.load import newest

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(900)]

BIN = Path(sys.executable).parent
DEADLINE = 300.0
"""How long jobs may take to come or to go [s]."""


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    """Return the environment with Dask's settings for jobs of one core; the jobs have a name of their own."""
    own = {"CORES": "1", "MEMORY": "2GB", "WALLTIME": "00:20:00", "NAME": f"rtp-{os.getpid()}-{time.time_ns()}"}
    logs = tmp_path / "logs"
    return {
        **os.environ,
        **{f"DASK_JOBQUEUE__SLURM__{name}": value for name, value in own.items()},
        "DASK_JOBQUEUE__SLURM__LOG_DIRECTORY": str(logs),
    }


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log") / "synthetic.parquet"
    subprocess.run([BIN / "rt-predictor-synthesize", "--rows", "4000", "--out", path], check=True, capture_output=True)
    return path


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    quick = (Path(rt_predictor_training.__file__).parent / "profiles/quick.toml").read_text()
    path = tmp_path_factory.mktemp("profile") / "small.toml"
    path.write_text(quick.replace("trees = 80", "trees = 30"))
    return path


def training(log: Path, profile: Path, models: Path, settings: dict[str, str]) -> subprocess.Popen[str]:
    options = ["--data", log, "--models", models, "--profile", profile, "--cluster", "slurm", "--workers", "2"]
    return subprocess.Popen(
        [BIN / "rt-predictor-train", *options],
        env=settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def lines(*command: str) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def queued(settings: dict[str, str], states: str = "PENDING,RUNNING,COMPLETING") -> list[str]:
    """Return the ids of our jobs in some states."""
    return lines("squeue", "-h", "-n", settings["DASK_JOBQUEUE__SLURM__NAME"], "-t", states, "-o", "%i")


def accounted(settings: dict[str, str]) -> list[tuple[str, str, str]]:
    """Return id, allocated cores and state of our jobs."""
    name = settings["DASK_JOBQUEUE__SLURM__NAME"]
    rows = lines("sacct", "-n", "-X", "-P", "--starttime", "now-1hours", "--name", name, "-o", "JobID,AllocCPUS,State")
    found = [row.split("|") for row in rows]
    return [(job, cores, state.split()[0]) for job, cores, state in found]


def wait_until(holds: Callable[[], bool], otherwise: str) -> None:
    end = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < end, otherwise
        time.sleep(0.2)


def ended(process: subprocess.Popen[str]) -> tuple[str, str]:
    out, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, errors
    return out, errors


def test_two_jobs_train_a_model_and_are_gone_afterwards(
    log: Path, profile: Path, tmp_path: Path, settings: dict[str, str]
) -> None:
    process = training(log, profile, tmp_path / "models", settings)
    wait_until(lambda: len(queued(settings, "RUNNING")) == 2, "no two jobs run")
    out, errors = ended(process)
    assert "note: " not in errors
    manifest = newest(tmp_path / "models").manifest
    assert f"published {tmp_path / 'models' / manifest.version}" in out
    assert {"xgboost", "lightgbm", "catboost"} <= {member.name for member in manifest.members}
    wait_until(lambda: not queued(settings), "jobs are left")
    wait_until(lambda: len(accounted(settings)) == 2, "the jobs are not accounted for")
    assert {cores for _, cores, _ in accounted(settings)} == {"1"}


def test_a_job_that_is_cancelled_in_mid_training_stops_nothing(
    log: Path, profile: Path, tmp_path: Path, settings: dict[str, str]
) -> None:
    process = training(log, profile, tmp_path / "models", settings)
    assert process.stderr is not None
    begun = next(line for line in process.stderr if line.startswith("fit"))
    assert begun
    jobs = queued(settings, "RUNNING")
    assert len(jobs) == 2
    # at once: asked to end, a worker on a busy machine may go on for as long as the rest of the training takes
    subprocess.run(["scancel", "--full", "--signal=KILL", jobs[1]], check=True)
    _, errors = ended(process)
    assert "began anew: tcp://" in errors
    assert "was lost" in errors
    assert newest(tmp_path / "models").manifest.jobs == 4000
    wait_until(lambda: not queued(settings), "jobs are left")
    wait_until(lambda: len(accounted(settings)) == 2, "the jobs are not accounted for")
    assert {state for job, _, state in accounted(settings) if job == jobs[1]} <= {"CANCELLED", "FAILED"}


def test_what_sbatch_refuses_is_said_in_one_line(
    log: Path, profile: Path, tmp_path: Path, settings: dict[str, str]
) -> None:
    process = training(log, profile, tmp_path, {**settings, "DASK_JOBQUEUE__SLURM__QUEUE": "not-there"})
    _, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 1
    assert [line for line in errors.splitlines() if line.startswith("error: ")] == [errors.splitlines()[-1]]
    assert "Invalid partition name specified" in errors
    assert errors.rstrip().endswith("[CLUSTER_SLURM]")
