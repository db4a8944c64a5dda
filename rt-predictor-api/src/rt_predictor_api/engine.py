"""The model that answers and the history it reads: one pair behind one reference, swapped as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from threading import Lock

import numpy as np
import structlog

from rt_predictor_api import metrics
from rt_predictor_api.asked import Asked
from rt_predictor_api.cache import ForecastCache
from rt_predictor_api.levels import KeptLevels
from rt_predictor_api.live import LiveScores, Said
from rt_predictor_api.metrics import Metrics
from rt_predictor_core.artifact.load import Artifact
from rt_predictor_core.artifact.manifest import Manifest
from rt_predictor_core.features.keys import TIERS
from rt_predictor_core.history.journal import Event, Journal
from rt_predictor_core.history.state import State
from rt_predictor_core.history.store import HistoryStore, MemoryStore
from rt_predictor_core.models.forecast import Forecasts
from rt_predictor_core.requests import Requests
from rt_predictor_formats.errors import Problem

REPLAY_EVENTS = 2_000
"""Journal entries given to a history at a time."""

_EXAMPLE: dict[str, str | float | None] = {
    **dict.fromkeys(("user", "account", "partition", "qos", "name", "work_dir"), "warm"),
    **dict.fromkeys(("wallclock_req", "nodes_req", "processors_req", "gpus_req", "mem_req"), 60.0),
}


@dataclass(frozen=True)
class Served:
    """What answers together: a model and the history that started from its snapshot."""

    artifact: Artifact
    store: HistoryStore


@dataclass(frozen=True)
class Answer:
    """Forecasts of the good rows that were asked for, and the version of the model that made them."""

    asked: Asked
    version: str
    forecasts: Forecasts


class Engine:
    """Forecasts with the current model; learns from reported events. Safe for several threads.

    A call that began on one model ends on it, whatever is adopted meanwhile.
    """

    def __init__(
        self, journal: Journal, levels: KeptLevels, live: LiveScores, counted: Metrics, cache: ForecastCache
    ) -> None:
        self._journal = journal
        self._levels = levels
        self._live = live
        self._metrics = counted
        self._cache = cache
        self._served: Served | None = None
        self._learning = Lock()
        self._log = structlog.get_logger()
        self._metrics.set(metrics.JOURNAL_EVENTS, to=journal.count())

    @property
    def manifest(self) -> Manifest | None:
        """The manifest of the model that answers now; None before the first."""
        return self._served.artifact.manifest if self._served else None

    @property
    def folder(self) -> str:
        """Name of the artifact folder that answers now; empty before the first."""
        return self._served.artifact.path.name if self._served else ""

    def predict(self, asked: Asked) -> Answer:
        """Return the forecasts of the rows, each as of its submit time.

        Raises
        ------
        Problem
            ``NO_MODEL`` before the first model is adopted.
        """
        answer = self._answer(asked)
        told = [(row, identity) for row, identity in enumerate(asked.identities) if identity is not None]
        if told:
            said = _said(answer.forecasts, answer.version)
            self._live.remember((identity, said[row]) for row, identity in told)
        return answer

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
        """Write events to disk, then learn from them; False for each that was known already.

        When this returns, the next forecast knows them, and so does one after a crash.

        Raises
        ------
        Problem
            ``NO_MODEL`` before the first model is adopted; ``HISTORY_NOT_WRITABLE`` or ``HISTORY_CORRUPT`` where
            nothing could be stored.
        """
        with self._learning:
            served = self._current()
            self._journal.append(events)
            version = served.artifact.manifest.version
            said = self._live.before(events, lambda some: _said(_forecast(served, _submitted(some)), version))
            # also those that the journal knew: after a failure half-way the store may not
            new = served.store.observe(events)
            told = zip(events, said, new, strict=True)
            self._calibrate(served, [(event, one) for event, (one, _), is_new in told if is_new])
            self._metrics.set(metrics.JOURNAL_EVENTS, to=self._journal.count())
        self._live.learn(events, said, new)
        self._metrics.count(metrics.REPORTS, "accepted", by=sum(new))
        self._metrics.count(metrics.REPORTS, "duplicate", by=len(new) - sum(new))
        return new

    def adopt(self, artifact: Artifact) -> None:
        """Answer with ``artifact`` from now on, its history brought up to date from the journal.

        Everything slow happens aside; calls go on with the former model until the swap.

        Raises
        ------
        Problem
            ``HISTORY_CORRUPT`` where the journal cannot be replayed; the former model stays.
        """
        served = Served(artifact, artifact.history())
        _warm(served)
        last = self._replay(served.store, 0)
        with self._learning:
            self._replay(served.store, last)
            self._recall(served)
            self._served = served
        manifest = artifact.manifest
        self._metrics.count(metrics.MODEL_LOADS, "adopted")
        self._metrics.set(metrics.MODEL_INFO, manifest.version, manifest.profile, to=1)
        self._metrics.set(metrics.MODEL_CREATED, to=manifest.created)
        self._metrics.set(metrics.MODEL_LAST_SUBMIT, to=manifest.last_submit)
        self._log.info("model adopted", version=manifest.version, jobs=manifest.jobs, replayed_to=last)

    def _recall(self, served: Served) -> None:
        """Give a model the calibration that reported ends have moved already, if there is one that fits."""
        calibration = served.artifact.forecaster.calibration
        kept = self._levels.of(served.artifact.manifest.version)
        if kept is not None and kept.shape == calibration.read.shape:
            calibration.read[:] = kept

    def _calibrate(self, served: Served, ended: Sequence[tuple[Event, Said]]) -> None:
        """Move the calibration by new ends, as training does; a job that took no time is no run there either.

        Forecasts that are made meanwhile read levels from before or after: each is one number.
        """
        forecaster, version = served.artifact.forecaster, served.artifact.manifest.version
        learnt = 0
        for event, said in ended:
            if event.end_time is None or event.end_time <= event.start_time or said.version != version:
                continue
            run = np.array([float(event.end_time - event.start_time)])
            level = forecaster.level_of(np.array([said.plain]), _submitted([event]).wallclock_req, run)
            forecaster.calibration.learn(said.tier, level[0])
            learnt += 1
        if learnt:
            try:
                self._levels.keep(version, forecaster.calibration.read)
            except Problem as problem:
                # the events are stored; the next report tries again
                self._log.warning("calibration not kept", problem=str(problem))

    def _answer(self, asked: Asked) -> Answer:
        served = self._current()
        forecasts = self._forecasts(served, asked.requests)
        self._count(forecasts)
        return Answer(asked, served.artifact.manifest.version, forecasts)

    def _forecasts(self, served: Served, requests: Requests) -> Forecasts:
        """Return forecasts as ``_forecast`` does; that of a single job may have been made before."""
        forecaster, version = served.artifact.forecaster, served.artifact.manifest.version
        inputs = forecaster.inputs(requests, served.store.read(requests))
        if len(requests) != 1:
            return forecaster.told(inputs)
        return self._cache.get(lambda: (version, inputs.key), lambda: forecaster.told(inputs))

    def _current(self) -> Served:
        if self._served is None:
            raise Problem(
                "NO_MODEL", "no model is loaded yet", remedy="try again shortly; a model is loading or being trained"
            )
        return self._served

    def _replay(self, store: HistoryStore, after: int) -> int:
        """Give the store the journal's events after a number; return the number of the last."""
        replay = self._journal.replay(after)
        while page := list(islice(replay, REPLAY_EVENTS)):
            store.observe([event for _, event in page])
            after = page[-1][0]
        return after

    def _count(self, forecasts: Forecasts) -> None:
        for tier, jobs in enumerate(np.bincount(forecasts.tier, minlength=len(TIERS)).tolist()):
            if jobs:
                self._metrics.count(metrics.FORECASTS, TIERS[tier], by=jobs)
        unlimited = int(np.isnan(forecasts.wallclock_req).sum())
        if unlimited:
            self._metrics.count(metrics.DEGRADED, "no_wallclock_requested", by=unlimited)


def _forecast(served: Served, requests: Requests) -> Forecasts:
    return served.artifact.forecaster.forecast(requests, served.store.read(requests))


def _said(forecasts: Forecasts, version: str) -> list[Said]:
    """Return what the forecasts of a model are compared with later."""
    ends = (forecasts.median, *forecasts.interval.T)
    rows = zip(*(end.tolist() for end in ends), forecasts.plain.tolist(), forecasts.tier.tolist(), strict=True)
    return [Said(median, low, high, tuple(plain), tier, version) for median, low, high, plain, tier in rows]


def _submitted(events: Iterable[Event]) -> Requests:
    """Return the events' jobs as they were submitted."""
    return Requests.from_rows([{**event.job, "submit_time": event.submit_time} for event in events])


def _warm(served: Served) -> None:
    """Compile everything that the first calls need, on a history of its own."""
    event = Event("", "warm", 0, 1, 2, "COMPLETED", _EXAMPLE)
    history = MemoryStore(State(), np.zeros(0, np.uint64), 0)
    history.observe([Event("", "warm", 0, 1, None, None, _EXAMPLE), event])
    for rows in (1, 3):
        requests = _submitted([event] * rows)
        made = served.artifact.forecaster.forecast(requests, history.read(requests))
        made.wallclock(0.1)
        made.distribution.exceedance(made.wallclock_req)
        made.distribution.mode()
