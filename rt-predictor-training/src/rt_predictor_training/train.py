"""Training: accounting log in, published artifact out, stage by stage."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from importlib.metadata import version as installed_version
from math import isfinite
from pathlib import Path
from typing import Protocol

import numba
import numpy as np
import pyarrow as pa

from rt_predictor_core.artifact.files import CHANCE, EXAMPLE, HISTORY, KNOWN, member_arrays
from rt_predictor_core.artifact.load import load
from rt_predictor_core.artifact.manifest import FORMAT, Manifest, MemberEntry, TargetEntry
from rt_predictor_core.artifact.publish import arrays_to_bytes, next_version, publish
from rt_predictor_core.features.table import FINGERPRINT
from rt_predictor_core.history.state import State
from rt_predictor_core.models.neighbours import SHAPE
from rt_predictor_training.course import Course
from rt_predictor_training.facts import Facts
from rt_predictor_training.findings import Finding, examine
from rt_predictor_training.fit import Result, course_of, fit, median_weights
from rt_predictor_training.gate import Candidate, decide
from rt_predictor_training.ingest import Intake, ingest
from rt_predictor_training.members import LOCAL, Engine
from rt_predictor_training.memory import fitting
from rt_predictor_training.newest import Newest, evidence, fold_entry
from rt_predictor_training.profiles import Profile

_PERCENT = 100


class Progress(Protocol):
    """Where training says how far it is."""

    def stage(self, name: str, total: int) -> None:
        """Begin a stage of ``total`` steps."""
        ...

    def advance(self, done: int) -> None:
        """Say how many steps of the stage are done."""
        ...


@dataclass
class Stages:
    """How long each stage took."""

    progress: Progress
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, name: str, total: int = 1) -> Iterator[None]:
        """Time a stage."""
        self.progress.stage(name, total)
        begin = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - begin, 3)
        self.progress.advance(total)


@dataclass(frozen=True)
class Trained:
    """What training published, what its checks found, and notes on the log and on the decision to publish."""

    path: Path
    manifest: Manifest
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]


def train(
    intake: Intake,
    profile: Profile,
    models: Path,
    progress: Progress,
    *,
    force: bool = False,
    engine: Engine = LOCAL,
) -> Trained:
    """Train on a log and publish the artifact, unless it is worse than the current one and not ``force``.

    Raises Problem for everything that a person can mend, MODEL_WORSE too; then nothing is published.
    """
    stages = Stages(progress)

    def percent(done: int, total: int) -> None:
        progress.advance(_PERCENT * done // max(total, 1))

    with stages("read", _PERCENT):
        jobs = ingest(intake, percent)
    state = State()
    allowed = fitting(profile, len(jobs))
    with stages("features", _PERCENT):
        course = course_of(jobs, state, allowed, percent)
    result = _fitted(stages, course, allowed, engine)
    with stages("gate"):
        newest = Newest.of(course, result.fold)
        findings = examine(evidence(course, result.fold, result.scores, median_weights(result.scored)))
        decision = decide(models, Candidate(result.scored, profile.refit), newest, findings, force=force)
    with stages("publish"):
        manifest = replace(
            _manifest(models, course.facts, profile, result, stages.seconds),
            fold=fold_entry(newest, result.forecasts),
            promotion=decision.promotion,
        )
        path = publish(models, manifest, _files(course.facts, result, state))
        artifact = load(path)
    return Trained(path, artifact.manifest, findings, (*jobs.notes, *_on_memory(profile, allowed), *decision.notes))


def _on_memory(profile: Profile, allowed: Profile) -> tuple[str, ...]:
    if allowed.train_jobs == profile.train_jobs:
        return ()
    limit = f"{profile.memory_gib:g} GiB have no room for {profile.train_jobs}"
    return (f"the members are fitted on the newest {allowed.train_jobs} jobs: {limit}",)


def _fitted(stages: Stages, course: Course, profile: Profile, engine: Engine) -> Result:
    rounds = 0

    def on_tree(_member: str) -> None:
        nonlocal rounds
        rounds += 1
        stages.progress.advance(rounds)

    fits = 2 if profile.refit else 1
    # XGBoost and CatBoost grow all levels in one round, LightGBM one after another; one more for the limit
    with stages("fit", fits * profile.trees * (3 + len(profile.levels))):
        return fit(course, profile, on_tree, engine)


def _files(facts: Facts, result: Result, state: State) -> dict[str, bytes]:
    files = {
        HISTORY: arrays_to_bytes({**state.snapshot(), KNOWN: np.unique(facts.known)}),
        EXAMPLE: (json.dumps(facts.example) + "\n").encode(),
    }
    files[CHANCE] = arrays_to_bytes(result.chance.forest.arrays())
    files.update(result.chance.native)
    for name, forest in result.forecaster.members.items():
        files[member_arrays(name)] = arrays_to_bytes(forest.arrays())
    for member in result.fitted.values():
        files.update(member.native)
    return files


def _members(result: Result) -> tuple[MemberEntry, ...]:
    """Return the members; the neighbours come from no library but from the history itself."""
    forecaster, medians = result.forecaster, median_weights(result.forecaster)
    entries = []
    for name in forecaster.members:
        weights = tuple(map(float, forecaster.weights[name]))
        if fitted := result.fitted.get(name):
            made = (fitted.library_version, fitted.shape, tuple(fitted.native))
        else:
            made = (installed_version("rt-predictor-core"), SHAPE, ())
        version, shape, native = made
        entries.append(MemberEntry(name, version, medians[name], weights, shape, native))
    return tuple(entries)


def _manifest(models: Path, facts: Facts, profile: Profile, result: Result, seconds: dict[str, float]) -> Manifest:
    now = time.time()
    forecaster = result.forecaster
    target = forecaster.target
    digest = sha256(
        b"".join(array.tobytes() for member in result.fitted.values() for array in member.forest.arrays().values())
    )
    digest.update(str(now).encode())
    return Manifest(
        format=FORMAT,
        version=next_version(models, now, digest.digest()),
        created=int(now),
        features=FINGERPRINT,
        profile=profile.name,
        sources=facts.sources,
        jobs=facts.jobs,
        rejected=facts.rejected,
        first_submit=facts.first_submit,
        last_submit=facts.last_submit,
        levels=profile.levels,
        members=_members(result),
        target=TargetEntry(
            target.power, target.usual_wallclock, target.grace if isfinite(target.grace) else None, target.leeway
        ),
        calibration=tuple(tuple(map(float, row)) for row in forecaster.calibration.read),
        known_from=facts.known_from,
        scores=result.scores,
        dial=result.dial,
        stage_seconds=dict(seconds),
        peak_memory_mb=_peak_memory_mb(),
        libraries={"numpy": np.__version__, "numba": numba.__version__, "pyarrow": pa.__version__},
    )


def _peak_memory_mb() -> float:
    # Linux counts KiB, macOS bytes
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 * 1024 if sys.platform == "darwin" else 1024), 1)
