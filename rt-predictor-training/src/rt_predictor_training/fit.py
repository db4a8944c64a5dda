"""Fitting: folds in time order, members, blend, calibration, scores.

Nothing sees a job that had not ended when the jobs it is used on were submitted: the folds are cut by submit time,
and a fold only holds jobs that had ended when the next fold begins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise, product
from math import inf
from typing import Any

import numpy as np

from rt_predictor_core.features.table import HistoryRows, assemble
from rt_predictor_core.models import conformal
from rt_predictor_core.models.blend import blend, monotone
from rt_predictor_core.models.conformal import Conformal
from rt_predictor_core.models.forecast import Forecaster, Forecasts
from rt_predictor_core.models.target import Target
from rt_predictor_core.scores import interval_scores, pinball, point_scores
from rt_predictor_training.baselines import baselines
from rt_predictor_training.ingest import Jobs
from rt_predictor_training.members import MEMBERS
from rt_predictor_training.members.member import Fitted, Fold, Task
from rt_predictor_training.profiles import Profile

WEIGHT_STEPS = 10
"""Blend weights are multiples of one over this."""

ENFORCED_SHARE = 0.25
"""A scheduler that lets more than this share of jobs run past their request is taken not to enforce it."""

_OVERRUN_QUANTILE = 0.99
_USUAL_QUANTILE = 0.95


@dataclass(frozen=True)
class Cut:
    """Rows of each fold, int64 indices in submit order."""

    train: np.ndarray
    stop: np.ndarray
    calibration: np.ndarray
    score: np.ndarray


@dataclass(frozen=True)
class Result:
    """A trained ensemble, the members it is made of, and its scores on the score fold, the ensemble first."""

    forecaster: Forecaster
    fitted: dict[str, Fitted]
    scores: tuple[dict[str, Any], ...]


def cut(jobs: Jobs, profile: Profile) -> Cut:
    """Cut the log into folds by submit time."""
    events = jobs.events
    rows = np.flatnonzero(events.ran)
    folds = profile.folds
    shares = np.cumsum([1.0 - folds.stop - folds.calibration - folds.score, folds.stop, folds.calibration])
    edges = [0, *(int(share * len(rows)) for share in shares), len(rows)]
    parts = [rows[low:high] for low, high in pairwise(edges)]
    ended = [part[events.end[part] <= events.submit[following[0]]] for part, following in pairwise(parts)]
    # a log whose jobs all overlap leaves nothing ended; then the order of submits has to do
    kept = [few if len(few) else part for few, part in zip(ended, parts, strict=False)]
    train, stop, calibration = kept
    return Cut(train, stop, calibration, score=parts[-1])


def target_of(jobs: Jobs, rows: np.ndarray, profile: Profile) -> Target:
    """Learn from the training fold what stands in for a missing request, and how strictly requests are enforced."""
    run, request = jobs.events.run[rows], jobs.events.request[rows]
    known = request[~np.isnan(request)]
    usual = float(np.quantile(known if len(known) else run, _USUAL_QUANTILE))
    over = (run - request)[run > request]
    share = len(over) / max(len(known), 1)
    if not len(known) or share > ENFORCED_SHARE:
        grace = inf
    else:
        grace = float(np.quantile(over, _OVERRUN_QUANTILE)) if share > 1.0 - _OVERRUN_QUANTILE else 0.0
    return Target(power=profile.target_power, usual_wallclock=max(usual, 1.0), grace=grace)


def fit(jobs: Jobs, rows: HistoryRows, profile: Profile, on_tree: Callable[[str], None]) -> Result:
    """Train the ensemble and score it on the newest jobs. ``on_tree`` is called with the member after each round."""
    folds = cut(jobs, profile)
    target = target_of(jobs, folds.train, profile)
    table = assemble(jobs.requests, rows)
    y = target.forward(
        np.minimum(jobs.events.run, target.limit(jobs.requests.wallclock_req)), jobs.requests.wallclock_req
    )

    def members(train: np.ndarray) -> dict[str, Fitted]:
        newer = folds.stop
        task = Task(
            train=Fold(table[train], y[train]),
            stop=Fold(table[newer], y[newer]),
            levels=profile.levels,
            trees=profile.trees,
            patience=profile.patience,
            parameters={},
            threads=profile.threads,
            seed=profile.seed,
            on_tree=lambda: None,
        )
        return {
            name: MEMBERS[name](replace(task, parameters=parameters, on_tree=partial(on_tree, name)))
            for name, parameters in profile.members.items()
        }

    fitted = members(folds.train)
    levels = np.array(profile.levels)
    forecaster = Forecaster(
        levels=levels,
        members={name: member.forest for name, member in fitted.items()},
        weights=weights_of(
            {name: member.forest.evaluate(table[folds.stop]) for name, member in fitted.items()}, y[folds.stop], levels
        ),
        conformal=Conformal(np.zeros((1, 1))),
        target=target,
    )
    calibrated = conformal.fit(
        monotone(forecaster.raw(table[folds.calibration])), y[folds.calibration], rows.tier[folds.calibration], levels
    )
    forecaster = replace(forecaster, conformal=calibrated)
    scores = score(forecaster, jobs, rows, table, folds.score)
    if profile.refit:
        everything = np.setdiff1d(np.flatnonzero(jobs.events.ran), folds.stop)
        fitted = members(everything)
        forecaster = replace(forecaster, members={name: member.forest for name, member in fitted.items()})
    return Result(forecaster, fitted, scores)


def weights_of(quantiles: dict[str, np.ndarray], y: np.ndarray, levels: np.ndarray) -> dict[str, float]:
    """Return non-negative blend weights that sum to 1 and have the least pinball loss, by exhaustive search.

    ``quantiles`` are the members' float64[n, levels] for newer jobs than they were fitted on.
    """
    names = list(quantiles)
    best, best_loss = (1.0,) + (0.0,) * (len(names) - 1), inf
    for steps in product(range(WEIGHT_STEPS + 1), repeat=len(names)):
        if sum(steps) != WEIGHT_STEPS:
            continue
        weights = tuple(step / WEIGHT_STEPS for step in steps)
        loss = pinball(monotone(blend(list(quantiles.values()), weights)), y, levels)
        if loss < best_loss:
            best, best_loss = weights, loss
    return dict(zip(names, best, strict=True))


def score(
    forecaster: Forecaster, jobs: Jobs, rows: HistoryRows, table: np.ndarray, fold: np.ndarray
) -> tuple[dict[str, Any], ...]:
    """Score the ensemble, each member and the baselines on one fold, by the names of the backtest's JSON."""
    requests = jobs.requests.take(fold)
    seen = HistoryRows(rows.features[fold], rows.tier[fold], rows.jobs[fold])
    run = jobs.events.run[fold]

    def scored(name: str, forecasts: Forecasts) -> dict[str, Any]:
        lower, upper = (forecasts.quantiles[:, np.searchsorted(forecasts.levels, q)] for q in (0.05, 0.95))
        return {"name": name, **point_scores(forecasts.median, run), **interval_scores(lower, upper, run)}

    result = [scored("ensemble", forecaster.finish(forecaster.raw(table[fold]), requests, seen))]
    for name, member in forecaster.members.items():
        result.append(scored(name, forecaster.finish(member.evaluate(table[fold]), requests, seen)))
    for name, predicted in baselines(requests, seen, forecaster.target).items():
        result.append({"name": name, **point_scores(predicted, run)})
    return tuple(result)
