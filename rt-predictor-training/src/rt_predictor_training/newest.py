"""The newest fold of a log: its jobs, what models that had not seen them say, and how it differs from the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rt_predictor_core.artifact.manifest import FoldEntry, TierEntry
from rt_predictor_core.features.keys import TIERS
from rt_predictor_core.features.table import HistoryRows
from rt_predictor_core.models.forecast import Forecaster, Forecasts
from rt_predictor_core.requests import TEXTS, Requests
from rt_predictor_core.scores import HOUR, interval_scores, point_scores
from rt_predictor_training.findings import Evidence
from rt_predictor_training.ingest import Jobs
from rt_predictor_training.walk import Course


@dataclass(frozen=True)
class Newest:
    """``n`` jobs in submit order: what they asked for, what the history said at that time, and run times [s]."""

    requests: Requests
    history: HistoryRows
    run: np.ndarray

    def __len__(self) -> int:
        return len(self.run)

    @classmethod
    def of(cls, course: Course, jobs: int) -> Newest:
        """Take the newest ``jobs`` of a course."""
        newest = slice(len(course) - jobs, len(course))
        requests = course.jobs.requests.take(course.ran[newest])
        return cls(requests, course.history.take(newest), course.run[newest])

    def take(self, rows: np.ndarray) -> Newest:
        """Return the jobs that an index array or a mask selects."""
        history = self.history.take(rows)
        return Newest(self.requests.take(rows), history, self.run[rows])

    def forecast(self, forecaster: Forecaster) -> Forecasts:
        """Return what a model says of the jobs."""
        return forecaster.forecast(self.requests, self.history)


def fold_entry(newest: Newest, forecasts: Forecasts) -> FoldEntry:
    """Return what the manifest says of the fold that the scores were measured on."""
    submit = newest.requests.submit_time
    tiers = [_tier(newest, forecasts, tier) for tier in range(len(TIERS)) if (newest.history.tier == tier).any()]
    return FoldEntry(int(submit[0]), int(submit[-1]), len(newest), tuple(tiers))


def _tier(newest: Newest, forecasts: Forecasts, tier: int) -> TierEntry:
    rows = newest.history.tier == tier
    lower, upper = forecasts.interval[rows].T
    return TierEntry(
        TIERS[tier],
        int(rows.sum()),
        point_scores(forecasts.median[rows], newest.run[rows])["mae_h"],
        interval_scores(lower, upper, newest.run[rows])["coverage_90"],
    )


def evidence(
    jobs: Jobs, fold: np.ndarray, scores: Sequence[Mapping[str, Any]], weights: Mapping[str, float]
) -> Evidence:
    """Return what the findings look at, for a model with these scores on the fold, int64[n]."""
    run, request, ran = jobs.events.run, jobs.events.request, jobs.events.ran
    asked = ran & ~np.isnan(request)
    older = np.flatnonzero(ran & (jobs.events.submit < jobs.events.submit[fold[0]]))
    return Evidence(
        scores=scores,
        weights=weights,
        jobs=len(jobs),
        rejected=jobs.rejected,
        without_request=float(np.isnan(request).mean()),
        without_user=float((jobs.requests.texts[:, TEXTS.index("user")] == 0).mean()),
        overrun=float((run > request)[asked].mean()) if asked.any() else float("nan"),
        mean_run_h=float(run[older].mean() / HOUR) if len(older) else float("nan"),
        newest_mean_run_h=float(run[fold].mean() / HOUR),
    )
