"""Training: accounting log in, published artifact out, stage by stage."""

from __future__ import annotations

import json
import resource
import sys
import time
from dataclasses import dataclass, replace
from hashlib import sha256
from importlib.metadata import version as installed_version
from math import isfinite
from pathlib import Path
from typing import Final

import numba
import numpy as np
import pyarrow as pa

from rt_predictor_core.artifact.files import (
    CHANCE,
    EVALUATION,
    EXAMPLE,
    HISTORY,
    KNOWN,
    PROBES,
    REFERENCE,
    TRAINING,
    member_arrays,
)
from rt_predictor_core.artifact.load import load, newest
from rt_predictor_core.artifact.manifest import FORMAT, Manifest, MemberEntry, TargetEntry
from rt_predictor_core.artifact.publish import arrays_to_bytes, next_version, publish
from rt_predictor_core.features.table import FINGERPRINT, used_columns
from rt_predictor_core.history.state import State
from rt_predictor_core.models.neighbours import SHAPE
from rt_predictor_core.models.reference import Reference
from rt_predictor_formats.errors import Problem
from rt_predictor_training.course import Course
from rt_predictor_training.evaluating import evaluate
from rt_predictor_training.facts import Facts
from rt_predictor_training.findings import Finding, examine
from rt_predictor_training.fit import Result, fit, median_weights
from rt_predictor_training.gate import Candidate, decide
from rt_predictor_training.ingest import Intake
from rt_predictor_training.members import LOCAL, Engine
from rt_predictor_training.newest import Newest, evidence, fold_entry
from rt_predictor_training.packing import packed_course
from rt_predictor_training.preparing import prepare
from rt_predictor_training.probing import probes_of
from rt_predictor_training.profiles import Profile
from rt_predictor_training.progress import Progress
from rt_predictor_training.resuming import Resuming
from rt_predictor_training.shelf import Shelf
from rt_predictor_training.stages import Stages
from rt_predictor_training.walk import training_rows

STAGES: Final = ".stages"
"""Folder among the models where the finished stages of a run are kept until it has published."""

REFERENCE_JOBS: Final = 100_000
"""About so many jobs make up the reference."""


@dataclass(frozen=True)
class Order:
    """What training is asked to do.

    Attributes
    ----------
    intake, profile: what to read, and how to train. models: folder to publish in.
    update: go on from the current model instead of reading its log again. force: publish a model that is worse too.
    engine: where members are fitted.
    """

    intake: Intake
    profile: Profile
    models: Path
    update: bool = False
    force: bool = False
    engine: Engine = LOCAL


@dataclass(frozen=True)
class Trained:
    """What training published, what its checks found, and notes on the log and on the decision to publish."""

    path: Path
    manifest: Manifest
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]


def train(order: Order, progress: Progress) -> Trained:
    """Train on a log and publish the artifact, unless it is worse than the current one and that is not forced.

    What an interrupted run had finished is taken from it. Raises Problem for everything that a person can mend,
    MODEL_WORSE too; then nothing is published.
    """
    profile, models = order.profile, order.models
    stages = Stages(progress, Shelf(models / STAGES))
    base = newest(models) if order.update else None
    prepared = prepare(stages, order.intake, profile, base)
    course = prepared.course
    result = _fitted(stages, course, replace(profile, train_jobs=prepared.train_jobs), order.engine)
    with stages("gate"):
        fold = Newest.of(course, result.fold)
        findings = examine(evidence(course, result.fold, result.scores, median_weights(result.scored)))
        decision = decide(models, Candidate(result.scored, profile.refit), fold, findings, force=order.force)
    with stages("publish"):
        manifest = replace(
            _manifest(models, course.facts, profile, result, stages),
            fold=fold_entry(fold, result.forecasts),
            promotion=decision.promotion,
            updated_from=base.path.name if base else None,
        )
        artifact = load(_published(models, manifest, _files(course, profile, result, prepared.state), stages))
    stages.clear()
    notes = (*_on_resuming(stages), *prepared.notes, *_on_memory(profile, prepared.train_jobs), *decision.notes)
    return Trained(artifact.path, artifact.manifest, findings, notes)


def _published(models: Path, manifest: Manifest, files: dict[str, bytes], stages: Stages) -> Path:
    try:
        return publish(models, manifest, files)
    except Problem as problem:
        if problem.code != "DISK_FULL":
            raise
        stages.clear()  # what they take may be what is missing
        return publish(models, manifest, files)


def _on_resuming(stages: Stages) -> tuple[str, ...]:
    taken = (f"taken from an interrupted run: {', '.join(stages.resumed)}",) if stages.resumed else ()
    return (*taken, *stages.notes)


def _on_memory(profile: Profile, train_jobs: int) -> tuple[str, ...]:
    if train_jobs == profile.train_jobs:
        return ()
    limit = f"{profile.memory_gib:g} GiB have no room for {profile.train_jobs}"
    return (f"the members are fitted on the newest {train_jobs} jobs: {limit}",)


def _fitted(stages: Stages, course: Course, profile: Profile, engine: Engine) -> Result:
    fits = 2 if profile.refit else 1
    # XGBoost and CatBoost grow all levels in one round, LightGBM one after another; one more for the limit
    with stages("fit", fits * profile.trees * (3 + len(profile.levels)), "trees") as on_tree:
        return fit(course, profile, lambda _member: on_tree(), Resuming(engine, stages))


def _files(course: Course, profile: Profile, result: Result, state: State) -> dict[str, bytes]:
    facts = course.facts
    files = {
        TRAINING: arrays_to_bytes(packed_course(course)),
        HISTORY: arrays_to_bytes({**state.snapshot(), KNOWN: np.unique(facts.known)}),
        EXAMPLE: (json.dumps(facts.example) + "\n").encode(),
    }
    files[CHANCE] = arrays_to_bytes(result.chance.forest.arrays())
    files.update(result.chance.native)
    for name, forest in result.forecaster.members.items():
        files[member_arrays(name)] = arrays_to_bytes(forest.arrays())
    for member in result.fitted.values():
        files.update(member.native)
    evaluation = evaluate(course, result, used_columns(queued=profile.queued))
    files[EVALUATION] = evaluation.to_json().encode()
    files[REFERENCE] = arrays_to_bytes(_reference(course, profile).arrays())
    files[PROBES] = arrays_to_bytes(probes_of(course, result, used_columns(queued=profile.queued)))
    return files


def _reference(course: Course, profile: Profile) -> Reference:
    """Return what the newest jobs are like that members would be fitted on now, or a spread sample of those."""
    rows = training_rows(course, len(course), profile)
    rows = rows[:: max(1, len(rows) // REFERENCE_JOBS)]
    return Reference.of(course.requests.take(rows), course.table[rows])


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


def _manifest(models: Path, facts: Facts, profile: Profile, result: Result, stages: Stages) -> Manifest:
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
        queued=profile.queued,
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
        stage_seconds=dict(stages.seconds),
        resumed=tuple(stages.resumed),
        peak_memory_mb=_peak_memory_mb(),
        libraries={"numpy": np.__version__, "numba": numba.__version__, "pyarrow": pa.__version__},
    )


def _peak_memory_mb() -> float:
    # Linux counts KiB, macOS bytes
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 * 1024 if sys.platform == "darwin" else 1024), 1)
