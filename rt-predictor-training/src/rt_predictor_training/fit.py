"""Fitting: a walk over the newest jobs that measures the ensemble, then members that know those jobs too."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rt_predictor_core.history.state import State
from rt_predictor_core.models.conformal import MEDIAN
from rt_predictor_core.models.forecast import Forecaster, Forecasts
from rt_predictor_core.models.target import Target
from rt_predictor_core.scores import cut_short, interval_scores, mean_ratio, point_scores, rate
from rt_predictor_training.baselines import baselines
from rt_predictor_training.course import Course
from rt_predictor_training.facts import Facts
from rt_predictor_training.ingest import Jobs
from rt_predictor_training.members import LOCAL, Engine
from rt_predictor_training.members.chance import Chance
from rt_predictor_training.members.member import Fitted
from rt_predictor_training.profiles import Profile
from rt_predictor_training.walk import Block, Walk, training_rows

RISKS = (0.01, 0.05, 0.1, 0.2, 0.3)
"""Accepted risks of a recommended wallclock of which training and backtest say what they led to."""


@dataclass(frozen=True)
class Result:
    """A trained ensemble, the members it is made of, and how good it was on the newest jobs.

    Attributes
    ----------
    forecaster: to publish; fitted, chance: its parts as the libraries gave them.
    scored: the one that was measured; its members had not seen the newest jobs.
    forecasts: what it said of those, the newest ``fold`` jobs of the course.
    points: what each baseline said of them [s], by name. scores: the ensemble first. dial: see ``Manifest``.
    """

    forecaster: Forecaster
    fitted: dict[str, Fitted]
    chance: Chance
    scored: Forecaster
    fold: int
    forecasts: Forecasts
    points: dict[str, np.ndarray]
    scores: tuple[dict[str, Any], ...]
    dial: tuple[dict[str, Any], ...]


def course_of(jobs: Jobs, state: State, profile: Profile, on_progress: Callable[[int, int], None]) -> Course:
    """Replay a log into ``state``, and take of it the jobs that the folds and the members need."""
    return Course.of(jobs, state, jobs_needed(jobs.facts, profile), on_progress)


def jobs_needed(facts: Facts, profile: Profile) -> int:
    """Return how many of the newest jobs of a log the folds and the members need."""
    return profile.train_jobs + sum(_fold_sizes(facts, profile))


def blocks_of(course: Course, profile: Profile) -> tuple[Block, Block]:
    """Return where calibration and score fold lie; the members are fitted before both."""
    calibration, score = _fold_sizes(course.facts, profile)
    first = len(course) - score
    return Block(first - calibration, first), Block(first, len(course), fit=False)


def _fold_sizes(facts: Facts, profile: Profile) -> tuple[int, int]:
    folds = profile.folds
    calibration, score = (min(int(share * facts.ran), folds.most_jobs) for share in (folds.calibration, folds.score))
    return calibration, score


def fit(course: Course, profile: Profile, on_tree: Callable[[str], None], engine: Engine = LOCAL) -> Result:
    """Train the ensemble and score it on the newest jobs. ``on_tree`` is called with the member after each round."""
    calibration, score = blocks_of(course, profile)
    walk = Walk(course, profile, (calibration, score), on_tree, engine=engine)
    walk.step(0, calibration)
    before = deepcopy(walk.forecaster.calibration)
    walk.step(1, score)
    scored = replace(walk.forecaster, calibration=before)
    newest = slice(score.first - calibration.first, score.last - calibration.first)
    forecasts = walk.forecasts(newest)
    points = _points(course, walk.forecaster.target, score.first)
    scores = _scores(walk, newest, course, points)
    dial = dial_of(forecasts, course.run[score.first :], walk.forecaster.target.leeway)
    if profile.refit:
        walk.fit(training_rows(course, len(course), profile))
    return Result(
        walk.forecaster, walk.fitted, walk.chance, scored, score.last - score.first, forecasts, points, scores, dial
    )


def _points(course: Course, target: Target, first: int) -> dict[str, np.ndarray]:
    """Return what each baseline says of the jobs from ``first`` on."""
    return {name: said[first:] for name, said in baselines(course.requests, course.events, target).items()}


def _scores(walk: Walk, newest: slice, course: Course, points: dict[str, np.ndarray]) -> tuple[dict[str, Any], ...]:
    fold = slice(walk.first + newest.start, walk.first + newest.stop)
    run = course.run[fold]
    said = {"ensemble": walk.forecasts(newest)} | {name: walk.forecasts(newest, name) for name in walk.said}
    rows = [{"name": name, **scores_of(forecasts, run)} for name, forecasts in said.items()]
    return (*rows, *({"name": name, **point_scores(point, run)} for name, point in points.items()))


def scores_of(forecasts: Forecasts, run: np.ndarray) -> dict[str, float]:
    """Return the scores of forecasts, by the names and in the units of the backtest's JSON."""
    lower, upper = forecasts.interval.T
    return {**point_scores(forecasts.median, run), **interval_scores(lower, upper, run)}


def dial_of(forecasts: Forecasts, run: np.ndarray, leeway: float) -> tuple[dict[str, Any], ...]:
    """Return what each accepted risk led to; see ``Manifest.dial``.

    ``leeway`` [s]: see ``models.target.Target``.
    """
    request, at_limit = forecasts.wallclock_req, forecasts.at_limit(run)
    return tuple(
        {
            "risk": risk,
            "measured_rate": rate(cut_short(run, bound, request, at_limit, leeway)),
            "bound_to_request": mean_ratio(bound, request),
        }
        for risk, bound in ((risk, forecasts.wallclock(risk)) for risk in RISKS)
    )


def median_weights(forecaster: Forecaster) -> dict[str, float]:
    """Return each member's part of the median."""
    middle = int(np.searchsorted(forecaster.levels, MEDIAN))
    return {name: float(weights[middle]) for name, weights in forecaster.weights.items()}
