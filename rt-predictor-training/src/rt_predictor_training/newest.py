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
from rt_predictor_training.course import Course
from rt_predictor_training.findings import Evidence


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
        return cls(course.requests.take(newest), course.history.take(newest), course.run[newest])

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


def evidence(course: Course, fold: int, scores: Sequence[Mapping[str, Any]], weights: Mapping[str, float]) -> Evidence:
    """Return what the findings look at, for a model with these scores on the newest ``fold`` jobs."""
    run, request, first = course.run, course.wallclock_req, len(course) - fold
    asked = ~np.isnan(request)
    return Evidence(
        scores=scores,
        weights=weights,
        jobs=course.facts.jobs,
        rejected=course.facts.rejected,
        without_request=float(np.isnan(request).mean()),
        without_user=float((course.requests.texts[:, TEXTS.index("user")] == 0).mean()),
        overrun=float((run > request)[asked].mean()) if asked.any() else float("nan"),
        mean_run_h=float(run[:first].mean() / HOUR) if first else float("nan"),
        newest_mean_run_h=float(run[first:].mean() / HOUR),
    )
