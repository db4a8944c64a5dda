"""The model that answers and the history it reads: one pair behind one reference, swapped as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import compress

import numpy as np
import structlog

from rt_predictor_api import metrics, training
from rt_predictor_api.affinity import Cores
from rt_predictor_api.asked import Asked
from rt_predictor_api.cache import ForecastCache
from rt_predictor_api.catalogue import Known
from rt_predictor_api.drift import Drift
from rt_predictor_api.live import LiveScores
from rt_predictor_api.metrics import Metrics
from rt_predictor_api.replica import Journaled, Replica, said
from rt_predictor_core.artifact.load import Artifact
from rt_predictor_core.artifact.manifest import Manifest
from rt_predictor_core.features.keys import TIERS
from rt_predictor_core.history.events import Event
from rt_predictor_core.models.explanation import Explanation
from rt_predictor_core.models.forecast import Forecasts, Inputs
from rt_predictor_core.requests import Requests
from rt_predictor_formats.errors import Problem

LONG_ROWS = 1_000
"""Rows that are work for long enough to do it on another core than that of the calls."""


@dataclass(frozen=True)
class Answer:
    """Forecasts of the good rows that were asked for, and the version of the model that made them.

    ``stale`` where the journal could not be read: they rest on what was known before. ``explanation`` is of a single
    row for which it was wanted, None where the model kept nothing to compare with.
    """

    asked: Asked
    version: str
    forecasts: Forecasts
    stale: bool = False
    explanation: Explanation | None = None


class Engine:
    """Forecasts with the current model; learns from reported events. Safe for several threads.

    A call that began on one model ends on it, whatever is adopted meanwhile.
    """

    def __init__(
        self,
        journal: Journaled,
        live: LiveScores,
        counted: Metrics,
        cache: ForecastCache,
        cores: Cores,
        drift: Drift | None = None,
    ) -> None:
        self._journal = journal
        self._live = live
        self._metrics = counted
        self._cache = cache
        self._cores = cores
        self._drift = drift
        self._replica: Replica | None = None
        self._untold = True
        self._log = structlog.get_logger()

    @property
    def manifest(self) -> Manifest | None:
        """The manifest of the model that answers now; None before the first."""
        return self._replica.artifact.manifest if self._replica else None

    @property
    def known(self) -> Known | None:
        """What is told of the model that answers now; None before the first."""
        return Known(self._replica.artifact.manifest, self._replica.artifact.evaluation) if self._replica else None

    @property
    def folder(self) -> str:
        """Name of the artifact folder that answers now; empty before the first."""
        return self._replica.artifact.path.name if self._replica else ""

    def epoch(self) -> Hashable | None:
        """Return what changes with anything that forecasts follow from, but what is asked; None while in doubt."""
        try:
            return self._replica.epoch if self._replica else None
        except Problem:
            return None

    def again(self, answer: Answer) -> None:
        """Take note that an answer is given once more."""
        self._count(answer.forecasts, stale=answer.stale)
        self._remembered(answer)

    def predict(self, asked: Asked) -> Answer:
        """Return the forecasts of the rows, each as of its submit time.

        Raises
        ------
        Problem
            ``NO_MODEL`` before the first model is adopted.
        """
        return self._remembered(self._answer(asked))

    def explain(self, asked: Asked) -> Answer:
        """Return the forecast of the only row as of its submit time, and why it is what it is.

        Both follow from one reading of the history.

        Raises
        ------
        Problem
            ``NO_MODEL`` before the first model is adopted.
        """
        replica = self._current()
        current = self._follow(replica)
        with self._cores.leaving():
            forecasts, explanation = replica.explained(self._inputs(replica, asked.requests))
        self._count(forecasts, stale=not current)
        return self._remembered(Answer(asked, replica.version, forecasts, not current, explanation))

    def remaining(self, asked: Asked, elapsed: np.ndarray) -> Answer:
        """Return the forecasts of rows that have run for ``elapsed``, float64[n] in seconds.

        They are not compared with the jobs' ends: whoever asks late enough is always right. The history is what it is
        now, read as of the submit times: it knows jobs that ended since, and counts a row whose start was reported
        among its user's running jobs.

        Raises
        ------
        Problem
            ``NO_MODEL`` before the first model is adopted.
        """
        answer = self._answer(asked)
        return replace(answer, forecasts=answer.forecasts.given(elapsed))

    def report(self, events: Sequence[Event]) -> list[bool]:
        """Write events to the journal, then learn from them; False for each that was known already.

        When this returns, the next forecast of any process that shares the journal knows them, and so does one after
        a crash.

        Raises
        ------
        Problem
            ``NO_MODEL`` before the first model is adopted; ``HISTORY_NOT_WRITABLE`` or ``HISTORY_CORRUPT`` where
            nothing could be stored.
        """
        replica = self._current()
        self._follow(replica)
        known = replica.known(events)
        told = self._live.before(events, replica.said)
        lessons = [replica.lesson(event, one) for event, (one, _) in zip(events, told, strict=True)]
        stored = self._journal.append(events, lessons)
        self._follow(replica)
        new = [is_stored and not was_known for is_stored, was_known in zip(stored, known, strict=True)]
        self._live.learn(events, told, new)
        self._metrics.count(metrics.REPORTS, "accepted", by=sum(new))
        self._metrics.count(metrics.REPORTS, "duplicate", by=len(new) - sum(new))
        for kind, learned in Counter(event.kind for event in compress(events, new)).items():
            self._metrics.count(metrics.LEARNED, kind, by=learned)
        return new

    def adopt(self, artifact: Artifact) -> None:
        """Answer with ``artifact`` from now on, its history brought up to date from the journal.

        Everything slow happens aside; calls go on with the former model until the swap.

        Raises
        ------
        Problem
            ``HISTORY_CORRUPT`` where the journal cannot be replayed; the former model stays.
        """
        replica = Replica(artifact, self._journal)
        replica.warm()
        try:
            replica.follow()
        except Problem as problem:
            if problem.code != "HISTORY_UNAVAILABLE":
                raise
            self._log.error("model adopted without reported jobs", problem=str(problem))
        # what is appended between the two is taken in by the first call
        self._replica = replica
        if self._drift is not None:
            self._drift.follow(artifact)
        manifest = artifact.manifest
        self._metrics.count(metrics.MODEL_LOADS, "adopted")
        self._metrics.set(metrics.MODEL_INFO, manifest.version, manifest.profile, to=1)
        self._metrics.set(metrics.MODEL_CREATED, to=manifest.created)
        self._metrics.set(metrics.MODEL_LAST_SUBMIT, to=manifest.last_submit)
        training.tell(self._metrics, manifest)
        self._metrics.set(metrics.JOURNAL_EVENTS, to=replica.entries)
        self._log.info("model adopted", version=manifest.version, jobs=manifest.jobs, replayed=replica.entries)

    def _remembered(self, answer: Answer) -> Answer:
        """Keep what is said of jobs that have an identity, and return it."""
        told = [(row, identity) for row, identity in enumerate(answer.asked.identities) if identity is not None]
        if told:
            rows = said(answer.forecasts, answer.version)
            self._live.remember((identity, rows[row]) for row, identity in told)
        return answer

    def _answer(self, asked: Asked) -> Answer:
        replica = self._current()
        current = self._follow(replica)
        forecasts = self._forecasts(replica, asked.requests)
        self._count(forecasts, stale=not current)
        return Answer(asked, replica.version, forecasts, stale=not current)

    def _forecasts(self, replica: Replica, requests: Requests) -> Forecasts:
        """Return forecasts; that of a single job may have been made before."""
        if len(requests) >= LONG_ROWS:
            with self._cores.leaving():
                return replica.told(self._inputs(replica, requests))
        inputs = self._inputs(replica, requests)
        if len(requests) != 1:
            return replica.told(inputs)
        return self._cache.get(lambda: (replica.version, inputs.key), lambda: replica.told(inputs))

    def _inputs(self, replica: Replica, requests: Requests) -> Inputs:
        inputs = replica.inputs(requests)
        if self._drift is not None:
            self._drift.add(inputs.table)
        return inputs

    def _follow(self, replica: Replica) -> bool:
        """Bring a history up to date; False where that fails: what it knows already is still worth a forecast."""
        try:
            if replica.follow():
                self._metrics.set(metrics.JOURNAL_EVENTS, to=replica.entries)
        except Problem as problem:
            self._tell_once(problem)
            return False
        self._untold = True
        return True

    def _tell_once(self, problem: Problem) -> None:
        """Log what keeps the history from being followed, once until it is followed again: forecasts may be many."""
        if self._untold:
            self._untold = False
            self._log.error("history not followed", problem=str(problem))

    def _current(self) -> Replica:
        if self._replica is None:
            raise Problem(
                "NO_MODEL", "no model is loaded yet", remedy="try again shortly; a model is loading or being trained"
            )
        return self._replica

    def _count(self, forecasts: Forecasts, *, stale: bool) -> None:
        tiers = forecasts.tier.tolist()
        for tier in set(tiers):
            self._metrics.count(metrics.FORECASTS, TIERS[tier], by=tiers.count(tier))
        if stale:
            self._metrics.count(metrics.DEGRADED, "history_unavailable", by=len(forecasts))
        unlimited = int(np.count_nonzero(np.isnan(forecasts.wallclock_req)))
        if unlimited:
            self._metrics.count(metrics.DEGRADED, "no_wallclock_requested", by=unlimited)
