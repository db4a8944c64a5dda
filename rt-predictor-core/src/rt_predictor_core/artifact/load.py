"""Loading: nothing of an artifact is used before all of it is verified, and nothing in it is executed."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from math import inf
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile

import numpy as np

from rt_predictor_core.artifact.files import (
    CHANCE,
    HISTORY,
    KNOWN,
    PROBES,
    TRAINING,
    UNFINISHED,
    member_arrays,
    sha256_of,
)
from rt_predictor_core.artifact.manifest import NAME, REMEDY, Manifest
from rt_predictor_core.artifact.probes import differing
from rt_predictor_core.features.table import FINGERPRINT
from rt_predictor_core.history.state import SNAPSHOT, State
from rt_predictor_core.history.store import MemoryStore
from rt_predictor_core.models.conformal import Calibration
from rt_predictor_core.models.forecast import Forecaster
from rt_predictor_core.models.shapes import SHAPES
from rt_predictor_core.models.target import Target
from rt_predictor_core.models.trees import BinaryForest, Forest
from rt_predictor_formats.errors import Problem


@dataclass(frozen=True)
class Artifact:
    """A verified artifact: the manifest, the forecaster, and the snapshot of the history."""

    path: Path
    manifest: Manifest
    forecaster: Forecaster
    snapshot: dict[str, np.ndarray]

    def history(self) -> MemoryStore:
        """Return a fresh history that knows what the training log knew, but not what waits.

        A log tells of jobs once they are over, so nothing of those that wait when it ends.
        """
        state = State.restore(**{name: self.snapshot[name] for name in SNAPSHOT})
        state.forget_queue()
        return MemoryStore(state, self.snapshot[KNOWN], self.manifest.known_from)


def versions(models: Path) -> list[str]:
    """Return the names of all artifacts in the models folder, newest first; they may still prove invalid."""
    try:
        entries = sorted((path.name for path in models.iterdir() if (path / NAME).is_file()), reverse=True)
    except OSError:
        return []
    return [name for name in entries if not name.startswith(UNFINISHED)]


def newest(models: Path) -> Artifact:
    """Return the newest artifact that is valid. Raises Problem NO_MODEL, which names what was wrong with the others."""
    artifact, refused = newest_and_refused(models)
    if artifact is not None:
        return artifact
    found = f"no valid model ({'; '.join(map(str, refused))})" if refused else "no model"
    raise Problem(
        "NO_MODEL", found, place=str(models), remedy="train one with rt-predictor-train --data LOG --models DIR"
    )


def newest_and_refused(models: Path) -> tuple[Artifact | None, tuple[Problem, ...]]:
    """Return the newest artifact that is valid, None without one, and what is wrong with those that are newer."""
    refused: list[Problem] = []
    for version in versions(models):
        try:
            return load(models / version), tuple(refused)
        except Problem as problem:
            refused.append(problem)
    return None, tuple(refused)


def load(path: Path) -> Artifact:
    """Read and verify an artifact.

    Raises Problem: ARTIFACT_INCOMPLETE, ARTIFACT_CORRUPT, ARTIFACT_FORMAT, ARTIFACT_UNREADABLE, ARTIFACT_FEATURES
    (the model was trained on other features than this release computes) or ARTIFACT_DIFFERS (its members answer other
    than the libraries that trained them did).
    """
    manifest = Manifest.read(path)
    if manifest.features != FINGERPRINT:
        raise Problem("ARTIFACT_FEATURES", "the model was trained on other features", place=str(path), remedy=REMEDY)
    try:
        contents = {name: _verified(path, name, digest) for name, digest in manifest.sha256.items()}
        forecaster = _forecaster(manifest, contents)
        _check_answers(path, forecaster, manifest, _arrays(contents[PROBES]))
        stored = _arrays(contents[HISTORY])
        artifact = Artifact(path, manifest, forecaster, {name: stored[name] for name in (*SNAPSHOT, KNOWN)})
        artifact.history()
    except (KeyError, ValueError, TypeError, EOFError, BadZipFile, OSError) as error:
        raise Problem("ARTIFACT_CORRUPT", f"unreadable contents ({error!r})", place=str(path), remedy=REMEDY) from error
    return artifact


def _verified(path: Path, name: str, digest: str) -> bytes:
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        raise Problem("ARTIFACT_CORRUPT", f"the manifest names a file outside: {name}", place=str(path), remedy=REMEDY)
    file = path / name
    if not file.is_file():
        raise Problem("ARTIFACT_INCOMPLETE", f"{name} is missing", place=str(path), remedy=REMEDY)
    if sha256_of(file) != digest:
        raise Problem(
            "ARTIFACT_CORRUPT", f"{name} is not what was published (SHA-256 differs)", place=str(path), remedy=REMEDY
        )
    return file.read_bytes() if file.suffix == ".npz" and name != TRAINING else b""


def _arrays(content: bytes) -> dict[str, np.ndarray]:
    with np.load(BytesIO(content), allow_pickle=False) as arrays:
        return dict(arrays)


def _check_answers(path: Path, forecaster: Forecaster, manifest: Manifest, probes: dict[str, np.ndarray]) -> None:
    """Raise Problem ARTIFACT_DIFFERS unless the forests answer the probes as the libraries that trained them did."""
    trained = [member.name for member in manifest.members if member.native_files]
    forests = {name: forecaster.members[name] for name in trained}
    if Path(CHANCE).stem in probes:  # a chance that is the same for all jobs has no library
        forests[Path(CHANCE).stem] = forecaster.chance
    for name, worst in differing(forests, probes).items():
        raise Problem(
            "ARTIFACT_DIFFERS",
            f"{name} answers its probes other than its library did, by {worst:.2g} of the largest answer",
            place=str(path),
            remedy=REMEDY,
        )


def _forecaster(manifest: Manifest, contents: dict[str, bytes]) -> Forecaster:
    members: dict[str, Forest] = {
        member.name: SHAPES[member.shape].from_arrays(_arrays(contents[member_arrays(member.name)]))
        for member in manifest.members
    }
    target = manifest.target
    return Forecaster(
        levels=np.array(manifest.levels),
        members=members,
        weights={member.name: np.array(member.weights) for member in manifest.members},
        chance=BinaryForest.from_arrays(_arrays(contents[CHANCE])),
        calibration=Calibration(np.array(manifest.levels), np.array(manifest.calibration)),
        target=Target(
            target.power, target.usual_wallclock, inf if target.grace is None else target.grace, target.leeway
        ),
    )
