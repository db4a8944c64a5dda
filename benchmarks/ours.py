"""``rt-predictor-train`` as a person starts it: in a fresh process, into a fresh folder of models."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from logs import command

_MOST_JOBS = re.compile(r"^most_jobs = [\d_]+", re.MULTILINE)


class Training(NamedTuple):
    """A run of the command: how long it took from start to end [s], and the manifest it published."""

    seconds: float
    manifest: dict[str, Any]

    @property
    def ensemble(self) -> dict[str, float]:
        """The ensemble's scores on the newest fold, by the names and in the units of the backtest's JSON."""
        return next(row for row in self.manifest["scores"] if row["name"] == "ensemble")


def timed(arguments: Sequence[str | Path], output: Path) -> float:
    """Run a command, its output into a file, and return how long it took [s]; exits with that output if it fails."""
    begin = time.perf_counter()
    with output.open("w", encoding="utf-8") as stream:
        done = subprocess.run(arguments, stdout=stream, stderr=subprocess.STDOUT, check=False)
    seconds = time.perf_counter() - begin
    if done.returncode:
        raise SystemExit(f"{output.read_text('utf-8')}\nerror: {Path(arguments[0]).name} ended with {done.returncode}")
    return seconds


def train(log: Path, profile: str, work: Path, name: str) -> Training:
    """Train on a log with a profile, its name or a TOML file; ``name`` is the folder of models in ``work``."""
    models = work / name
    if models.exists():
        shutil.rmtree(models)
    work.mkdir(parents=True, exist_ok=True)
    arguments = (command("rt-predictor-train"), "--data", log, "--models", models, "--profile", profile)
    seconds = timed(arguments, work / f"{name}.txt")
    (manifest,) = models.glob("*/manifest.json")
    return Training(seconds, json.loads(manifest.read_text("utf-8")))


def with_fold(profile: str, jobs: int, work: Path) -> Path:
    """Write a copy of a shipped profile whose folds have at most ``jobs`` jobs, and return it."""
    from rt_predictor_training import profiles

    shipped = Path(profiles.__file__).with_name(f"{profile}.toml").read_text("utf-8")
    text, found = _MOST_JOBS.subn(f"most_jobs = {jobs}", shipped)
    if found != 1:
        raise SystemExit(f"error: profile {profile} has no line most_jobs")
    work.mkdir(parents=True, exist_ok=True)
    path = work / f"{profile}.toml"
    path.write_text(text, "utf-8")
    return path
