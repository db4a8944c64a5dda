"""The models in the folder: which are valid, each verified once, and why the others are refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import structlog

from rt_predictor_api import metrics
from rt_predictor_api.metrics import Metrics
from rt_predictor_api.security import audit
from rt_predictor_core.artifact.evaluation import Evaluation
from rt_predictor_core.artifact.load import Artifact, load, versions
from rt_predictor_core.artifact.manifest import Manifest
from rt_predictor_formats.errors import Problem


@dataclass(frozen=True)
class Known:
    """What is told of a valid artifact; ``evaluation`` is None in those of releases that kept none."""

    manifest: Manifest
    evaluation: Evaluation | None


class Catalogue:
    """What is known of the artifacts in a folder; safe for several threads.

    An artifact is judged when it is first seen, and again when anything in its folder has changed since.
    """

    def __init__(self, models: Path, counted: Metrics) -> None:
        self._models = models
        self._metrics = counted
        self._judged: dict[str, tuple[int, Known | Problem]] = {}
        self._lock = Lock()
        self._log = structlog.get_logger()

    def versions(self) -> list[str]:
        """Return the names of what is in the folder, newest first; some may prove invalid."""
        return versions(self._models)

    def load(self, version: str) -> Artifact | None:
        """Return an artifact, verified; None where it is invalid, which is logged once."""
        with self._lock:
            changed = self._changed(version)
            if isinstance(self._verdict(version, changed), Problem):
                return None
            return self._judge(version, changed)

    def known(self, version: str) -> Known | None:
        """Return what is known of a valid artifact; None for an invalid or missing one."""
        if version not in self.versions():
            return None
        with self._lock:
            changed = self._changed(version)
            if self._verdict(version, changed) is None:
                self._judge(version, changed)
            verdict = self._verdict(version, changed)
            return verdict if isinstance(verdict, Known) else None

    def manifests(self) -> list[Manifest]:
        """Return all valid artifacts, newest first."""
        found = (self.known(version) for version in self.versions())
        return [known.manifest for known in found if known is not None]

    def nothing(self) -> Problem:
        """Return the problem that no artifact is valid, with the reasons against the newest."""
        refused = [verdict for _, (_, verdict) in sorted(self._judged.items()) if isinstance(verdict, Problem)]
        thing = f"no valid model, of {len(refused)} refused the newest is: {refused[-1]}" if refused else "no model"
        remedy = (
            "train one with rt-predictor-train --data LOG --models DIR, or set RT_PREDICTOR_WAIT_FOR_MODEL=true to "
            "wait for one"
        )
        return Problem("NO_MODEL", thing, place=str(self._models), remedy=remedy)

    def _changed(self, version: str) -> int:
        """Return when anything in the folder last changed [ns]; 0 where it is gone."""
        folder = self._models / version
        try:
            # not the modification times: a copy may preserve those
            return max(path.stat().st_ctime_ns for path in (folder, *folder.rglob("*")))
        except OSError:
            return 0

    def _verdict(self, version: str, changed: int) -> Known | Problem | None:
        seen, verdict = self._judged.get(version, (None, None))
        return verdict if seen == changed else None

    def _judge(self, version: str, changed: int) -> Artifact | None:
        try:
            artifact = load(self._models / version)
        except Problem as problem:
            self._judged[version] = (changed, problem)
            self._metrics.count(metrics.MODEL_LOADS, "refused")
            self._log.error("model refused", version=version, reason=problem.code, problem=str(problem))
            audit.record("model refused", version=version, reason=problem.code)
            return None
        self._judged[version] = (changed, Known(artifact.manifest, artifact.evaluation))
        return artifact
