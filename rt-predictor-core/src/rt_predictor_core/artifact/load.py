"""Loading: nothing of an artifact is used before all of it is verified, and nothing in it is executed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path

import numpy as np

from rt_predictor_core.artifact import npz
from rt_predictor_core.artifact.evaluation import Evaluation
from rt_predictor_core.artifact.files import (
    CHANCE,
    EVALUATION,
    HISTORY,
    KNOWN,
    PROBES,
    REFERENCE,
    TRAINING,
    UNFINISHED,
    open_inside,
)
from rt_predictor_core.artifact.manifest import NAME, REMEDY, Manifest
from rt_predictor_core.artifact.parts import forecaster as forecaster_of
from rt_predictor_core.artifact.probes import differing
from rt_predictor_core.features.table import FINGERPRINT
from rt_predictor_core.history.state import SNAPSHOT, State
from rt_predictor_core.history.store import MemoryStore
from rt_predictor_core.models.forecast import Forecaster
from rt_predictor_core.models.reference import Reference
from rt_predictor_formats.errors import Problem


@dataclass(frozen=True)
class Artifact:
    """A verified artifact: the manifest, the forecaster, and the snapshot of the history.

    ``reference`` and ``evaluation`` are None in artifacts of releases that kept none.
    """

    path: Path
    manifest: Manifest
    forecaster: Forecaster
    snapshot: dict[str, np.ndarray]
    reference: Reference | None = None
    evaluation: Evaluation | None = None

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
        forecaster = forecaster_of(manifest, contents)
        _check_answers(path, forecaster, manifest, npz.read(contents[PROBES]))
        stored = npz.read(contents[HISTORY])
        snapshot = {name: stored[name] for name in (*SNAPSHOT, KNOWN)}
        artifact = Artifact(path, manifest, forecaster, snapshot, _reference(contents), _evaluation(contents))
        _check_known(stored[KNOWN])
        artifact.history()
    except (KeyError, ValueError, TypeError, OverflowError, MemoryError, OSError) as error:
        raise Problem("ARTIFACT_CORRUPT", f"unreadable contents ({error!r})", place=str(path), remedy=REMEDY) from error
    return artifact


def _verified(path: Path, name: str, digest: str) -> bytes:
    """Return the contents of a file that the service reads, of any other nothing; verified."""
    wanted = (name.endswith(".npz") and name != TRAINING) or name == EVALUATION
    try:
        with open_inside(path, name) as file:
            content = file.read() if wanted else b""
            found = sha256(content).hexdigest() if wanted else file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise Problem("ARTIFACT_INCOMPLETE", f"{name} is missing", place=str(path), remedy=REMEDY) from None
    if found != digest:
        raise Problem(
            "ARTIFACT_CORRUPT", f"{name} is not what was published (SHA-256 differs)", place=str(path), remedy=REMEDY
        )
    return content


def _reference(contents: Mapping[str, bytes]) -> Reference | None:
    return Reference.from_arrays(npz.read(contents[REFERENCE])) if REFERENCE in contents else None


def _evaluation(contents: Mapping[str, bytes]) -> Evaluation | None:
    return Evaluation.from_json(contents[EVALUATION]) if EVALUATION in contents else None


def _check_known(known: np.ndarray) -> None:
    if known.dtype != np.uint64 or known.ndim != 1 or (known[1:] < known[:-1]).any():
        raise ValueError(f"{KNOWN}: {known.dtype}{known.shape} does not fit, or is not sorted")


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
