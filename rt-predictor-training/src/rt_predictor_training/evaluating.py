"""The evaluation of a trained ensemble: how it did on the newest jobs, part by part, and what it rests on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from rt_predictor_core.artifact.evaluation import (
    ENSEMBLE,
    BaselineEntry,
    Evaluation,
    FeatureEntry,
    ImportanceEntry,
    PartEntry,
    ReliabilityEntry,
)
from rt_predictor_core.features.table import NAMES
from rt_predictor_core.models.forecast import Forecasts
from rt_predictor_core.scores import attained, interval_scores, point_scores
from rt_predictor_training.course import Course
from rt_predictor_training.fit import Result, median_weights
from rt_predictor_training.members import IMPORTANCE
from rt_predictor_training.members.member import as_shares
from rt_predictor_training.report.groups import Group, by_band, by_month, by_tier, by_week

OVERALL = "all"
"""Label of all jobs."""


@dataclass(frozen=True)
class Fold:
    """The newest ``n`` jobs, what the ensemble and the baselines said of them, and how long they ran [s]."""

    submit_time: np.ndarray
    run: np.ndarray
    forecasts: Forecasts
    points: Mapping[str, np.ndarray]

    @property
    def tier(self) -> np.ndarray:
        """Their history tiers, uint8[n]."""
        return self.forecasts.tier

    def __len__(self) -> int:
        return len(self.run)


def evaluate(course: Course, result: Result, columns: int) -> Evaluation:
    """Return the evaluation of an ensemble whose members were given the first ``columns`` features."""
    newest = slice(len(course) - result.fold, len(course))
    fold = Fold(course.submit[newest], course.run[newest], result.forecasts, result.points)
    forecasts = result.forecasts
    reliability = zip(forecasts.levels.tolist(), attained(forecasts.quantiles, fold.run).tolist(), strict=True)
    return Evaluation(
        first_submit=int(fold.submit_time[0]),
        last_submit=int(fold.submit_time[-1]),
        overall=_part(fold, Group(OVERALL, np.arange(len(fold)))),
        months=_parts(fold, by_month(fold)),
        weeks=_parts(fold, by_week(fold)),
        bands=_parts(fold, by_band(fold)),
        tiers=_parts(fold, by_tier(fold)),
        reliability=tuple(ReliabilityEntry(level, measured) for level, measured in reliability),
        importance=_importance(result, columns),
    )


def _parts(fold: Fold, groups: Iterable[Group]) -> tuple[PartEntry, ...]:
    return tuple(_part(fold, group) for group in groups if len(group.rows))


def _part(fold: Fold, group: Group) -> PartEntry:
    rows, run = group.rows, fold.run[group.rows]
    scores = {**point_scores(fold.forecasts.median[rows], run), **_interval_scores(fold, rows)}
    said = {name: point_scores(point[rows], run) for name, point in fold.points.items()}
    return PartEntry(
        label=group.label,
        jobs=len(rows),
        **{name: scores[name] for name in ("mae_h", "median_ae_min", "coverage_90", "width_90_h")},
        baselines=tuple(BaselineEntry(name, one["mae_h"], one["median_ae_min"]) for name, one in said.items()),
    )


def _interval_scores(fold: Fold, rows: np.ndarray) -> dict[str, float]:
    lower, upper = fold.forecasts.interval[rows].T
    return interval_scores(lower, upper, fold.run[rows])


def _importance(result: Result, columns: int) -> tuple[ImportanceEntry, ...]:
    """Return what the members rest on whose libraries tell it, and before them what their blend at the median does."""
    shares = {name: IMPORTANCE[name](fitted.native, columns) for name, fitted in result.fitted.items()}
    weights = median_weights(result.forecaster)
    blend = as_shares(np.sum([weights[name] * share for name, share in shares.items()], axis=0))
    return tuple(ImportanceEntry(name, _features(share)) for name, share in {ENSEMBLE: blend, **shares}.items())


def _features(share: np.ndarray) -> tuple[FeatureEntry, ...]:
    order = np.argsort(-share, kind="stable")
    return tuple(FeatureEntry(NAMES[column], float(share[column])) for column in order if share[column] > 0.0)
