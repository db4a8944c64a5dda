"""Rivals: what others would do with the same log, as methods of a backtest."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import xgboost as xgb
from numba import njit

from rt_predictor_core.features.history import END, SUBMIT
from rt_predictor_core.models.conformal import COVERAGE
from rt_predictor_core.models.distribution import LEANS
from rt_predictor_core.models.target import SHORTEST_SECONDS, Target
from rt_predictor_core.requests import NUMBERS, TEXTS
from rt_predictor_training.course import Course
from rt_predictor_training.walk import Block, training_events

NREL_WINDOW_DAYS = 100
"""The recipe trains on the jobs that ended in this many days before it forecasts."""

NREL_TREES = 168

NREL_PARAMETERS = {
    "objective": "reg:squarederror",
    "max_depth": 7,
    "eta": 0.397,
    "gamma": 0.64,
    "subsample": 0.748,
    "colsample_bytree": 0.628,
    "verbosity": 0,
}
"""From the stored outputs of https://github.com/NREL/eagle-jobs and its companion notebooks."""

RATIOS_KEPT = 1_000
"""The request-only interval rests on this many of the newest ended jobs."""

_DAY = 86_400
_USER, _PARTITION = TEXTS.index("user"), TEXTS.index("partition")


def nrel(course: Course, blocks: Sequence[Block], threads: int, on_block: Callable[[], None]) -> np.ndarray:
    """Return the run times, float64[n] in seconds, that NREL's recipe says from the first block's first job on.

    XGBoost on seven fields of the request (wallclock, nodes, processors, GPUs, memory; user and partition as labels),
    run time in seconds, squared error, refitted before each block ("Mastering HPC Runtime Prediction: From Observing
    Patterns to a Methodological Approach", PEARC 2023). Labels are numbered over the whole log, as there.
    """
    first, last = blocks[0].first, blocks[-1].last
    requests = course.requests
    labels = [np.unique(requests.texts[:, column], return_inverse=True)[1].ravel() for column in (_USER, _PARTITION)]
    x = np.column_stack([requests.numbers[:, : len(NUMBERS)], *labels]).astype(np.float32)
    said = np.empty(last - first)
    for block in blocks:
        moment = course.submit[block.first]
        ended = course.ended(block.first)
        newest = ended[course.end[ended] > moment - NREL_WINDOW_DAYS * _DAY]
        rows = newest if len(newest) else np.arange(block.first)
        train = xgb.DMatrix(x[rows], label=course.run[rows])
        booster = xgb.train({**NREL_PARAMETERS, "nthread": threads}, train, num_boost_round=NREL_TREES)
        predicted = booster.predict(xgb.DMatrix(x[block.first : block.last]))
        said[block.first - first : block.last - first] = np.maximum(predicted, SHORTEST_SECONDS)
        on_block()
    return said


def request_interval(course: Course, first: int, target: Target) -> tuple[np.ndarray, np.ndarray]:
    """Return medians float64[n] and 90 % intervals float64[n, 2] [s] that rest on the request, from job ``first`` on.

    Split conformal prediction of run time / request (Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random
    World", 2005) on the newest ended jobs of the whole site. The interval is the shortest of the leans that the
    ensemble's may have.
    """
    below = (1.0 - COVERAGE) * LEANS
    levels = np.concatenate([[0.5], below, below + COVERAGE])
    kinds, jobs = training_events(course, 0, len(course))
    scale = target.scale(course.wallclock_req)
    shares = np.tile(np.nan, (len(course), len(levels)))
    _follow(kinds, jobs, course.run / scale, levels, shares)
    limit = target.limit(course.wallclock_req)[first:, None]
    times = np.minimum(np.nan_to_num(shares[first:], nan=1.0) * scale[first:, None], limit)
    lower, upper = np.hsplit(times[:, 1:], 2)
    shortest = np.argmin(upper - lower, axis=1)[:, None]
    return times[:, 0], np.hstack([np.take_along_axis(ends, shortest, axis=1) for ends in (lower, upper)])


@njit(cache=True)
def _follow(kinds: np.ndarray, jobs: np.ndarray, ratio: np.ndarray, levels: np.ndarray, said: np.ndarray) -> None:
    kept, count = np.zeros(RATIOS_KEPT), 0
    for e in range(len(jobs)):
        if kinds[e] == END:
            kept[count % RATIOS_KEPT] = ratio[jobs[e]]
            count += 1
        elif kinds[e] == SUBMIT and count > 0:
            known = np.sort(kept[: min(count, RATIOS_KEPT)])
            for i in range(len(levels)):
                rank = (len(known) + 1) * levels[i]
                place = np.ceil(rank) if levels[i] > 0.5 else np.floor(rank)  # noqa: PLR2004 - the median
                said[jobs[e], i] = known[int(min(max(place, 1.0), len(known))) - 1]
