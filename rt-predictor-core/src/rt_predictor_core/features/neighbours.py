"""Neighbours: the newest ended jobs of the same user, weighted by how much they resemble the one that is asked for.

Of each user (of the account, partition or site, where a log tells no user) the newest ended jobs are kept one by one,
and the jobs that run now. A read weighs the ended ones by the resemblance of their request and name and by how many
others have ended since, and gives weighted quantiles of their run times: a kernel estimate of the conditional
distribution (Nadaraya 1964, Watson 1964; of quantiles: Yu and Jones, JASA 93(441), 1998), local to one user, as in
Smith, Foster, Taylor, "Predicting Application Run Times Using Historical Information", JSSPP 1998. Jobs that still
run tell that jobs like them take at least so long.
"""

from __future__ import annotations

from math import exp, inf, log, log1p, nan, sqrt
from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit

from rt_predictor_core.features.keys import ACCOUNT, PARTITION, SITE, USER
from rt_predictor_core.features.slots import row_for, slot_of

KEPT: Final = 64
"""Newest ended jobs that are kept of each user."""

RUNNING_KEPT: Final = 32
"""Running jobs that are kept of each user; of more, the first ones."""

WIDTHS: Final = ("near", "wide", "broad")
"""Names of the kernels, from the choosiest."""

BANDWIDTHS: Final = (0.15, 0.3, 1.0)
"""Difference of the logarithms of requests (wallclock, processors) at which a weight falls to 1/e, by kernel."""

FADING: Final = (6.0, 20.0, 40.0)
"""Jobs that have ended since after which a weight falls to 1/e, by kernel."""

NAME_WEIGHT: Final = 8.0
"""A job with the same name, digits ignored, weighs this many times as much."""

UNKNOWN_GAP: Final = 1.0
"""Stands for the difference of two logarithms of which one is unknown."""

LEVELS: Final = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
"""Levels of the weighted quantiles."""

_REACHED: Final = 0.99

PER_WIDTH: Final = (
    "log_weight",
    "mean_log",
    "spread_log",
    "mean_ratio",
    "reached",
    *(f"q{100 * level:02.0f}_log" for level in LEVELS),
)
RUNNING_FEATURES: Final = (
    "running",
    "log_longest_elapsed",
    "log_shortest_elapsed",
    "alike_running",
    "alike_log_longest_elapsed",
    "alike_longest_elapsed_ratio",
)
FEATURES: Final = (
    *(f"{width}_{feature}" for width in WIDTHS for feature in PER_WIDTH),
    *(f"now_{feature}" for feature in RUNNING_FEATURES),
)
"""Names in order; logs are of 1 + run time in seconds, ratios are run time / requested wallclock."""

RUN, LOG_RUN, LOG_REQUEST, LOG_PROCESSORS, RATIO, NAME = range(6)
"""What is kept of an ended job."""

START, RUNNING_REQUEST, RUNNING_PROCESSORS = range(3)
"""What is kept of a running job: start [s since 1970] and the logarithms of its request."""

_PER_WIDTH = len(PER_WIDTH)
_FIRST_QUANTILE = PER_WIDTH.index("q05_log")
_FIRST_RUNNING = len(WIDTHS) * _PER_WIDTH
_LEAST = 1e-12


class Nearby(NamedTuple):
    """The state, one row per user, in a form that compiled code takes.

    Attributes
    ----------
    table, slots: see ``slots``. used: int64[1], rows in use.
    ended: float64[rows, KEPT, 6], a ring. total: int64[rows], jobs that ever ended.
    running: float64[rows, RUNNING_KEPT, 3]. runs: int64[rows], running jobs kept.
    """

    table: np.ndarray
    slots: np.ndarray
    used: np.ndarray
    ended: np.ndarray
    total: np.ndarray
    running: np.ndarray
    runs: np.ndarray


class Traits(NamedTuple):
    """What resemblance is judged by: logarithms of the request, NaN if unknown, and the name's stem, 0 if unknown."""

    log_request: float
    log_processors: float
    name: float


@njit(cache=True, nogil=True)
def key_of(keys: np.ndarray) -> Any:
    """Return whose jobs are the neighbours, uint64: the finest known of user, account, partition and site."""
    for k in (USER, ACCOUNT, PARTITION):
        if keys[k] != np.uint64(0):
            return keys[k]
    return keys[SITE]


@njit(cache=True, nogil=True)
def traits_of(request: float, processors: float, stem: np.uint64) -> Traits:
    """Return the traits of a job; 52 bits of the stem's hash fit a float exactly."""
    return Traits(
        log(request) if request > 0.0 else nan,
        log(processors) if processors > 0.0 else nan,
        float(stem >> np.uint64(12)),
    )


@njit(cache=True, nogil=True)
def _row(key: np.uint64, state: Nearby) -> int:
    before = state.used[0]
    row = row_for(key, state.table, state.slots, state.used)
    if row == before:
        state.total[row] = 0
        state.runs[row] = 0
    return row


@njit(cache=True, nogil=True)
def observe_start(keys: np.ndarray, traits: Traits, start: int, state: Nearby) -> None:
    """Take in that a job started at ``start`` [s since 1970]."""
    row = _row(key_of(keys), state)
    place = state.runs[row]
    if place < RUNNING_KEPT:
        state.running[row, place, START] = start
        state.running[row, place, RUNNING_REQUEST] = traits.log_request
        state.running[row, place, RUNNING_PROCESSORS] = traits.log_processors
        state.runs[row] += 1


@njit(cache=True, nogil=True)
def forget_start(keys: np.ndarray, traits: Traits, start: int, state: Nearby) -> None:
    """Take in that a job runs no more, and was no run: its ``start`` was taken in."""
    _forget(_row(key_of(keys), state), traits, start, state)


@njit(cache=True, nogil=True)
def _gap(a: float, b: float) -> float:
    if np.isnan(a) or np.isnan(b):
        return 0.0 if np.isnan(a) and np.isnan(b) else UNKNOWN_GAP
    return abs(a - b)


@njit(cache=True, nogil=True)
def observe_end(
    keys: np.ndarray, traits: Traits, start: int, run: float, request: float, started: bool, state: Nearby
) -> None:
    """Take in that a job ended after ``run`` seconds; ``started`` says whether its ``start`` was taken in."""
    row = _row(key_of(keys), state)
    kept = state.ended[row, state.total[row] % KEPT]
    kept[RUN], kept[LOG_RUN] = run, log1p(run)
    kept[LOG_REQUEST], kept[LOG_PROCESSORS] = traits.log_request, traits.log_processors
    kept[RATIO], kept[NAME] = run / request, traits.name
    state.total[row] += 1
    if started:
        _forget(row, traits, start, state)


@njit(cache=True, nogil=True)
def _forget(row: int, traits: Traits, start: int, state: Nearby) -> None:
    """Remove a running job; those with the same traits and start are the same to every reader."""
    running = state.running[row]
    for place in range(state.runs[row]):
        same = _gap(running[place, RUNNING_REQUEST], traits.log_request) == 0.0
        same = same and _gap(running[place, RUNNING_PROCESSORS], traits.log_processors) == 0.0
        if same and running[place, START] == start:
            # the order stays, so that the features do not depend on which of two equal jobs ended
            for later in range(place, state.runs[row] - 1):
                running[later] = running[later + 1]
            state.runs[row] -= 1
            return


@njit(cache=True, nogil=True)
def read(keys: np.ndarray, traits: Traits, request: float, as_of: int, state: Nearby, out: np.ndarray) -> None:
    """Write the features of one job as of its submit time into ``out``, float32[len(FEATURES)]; NaN where unknown."""
    out[:] = nan
    place = slot_of(state.table, state.slots, key_of(keys))
    if state.slots[place] < 0:
        return
    row = state.slots[place]
    known = min(state.total[row], KEPT)
    if known > 0:
        _read_ended(row, known, traits, state, out)
    _read_running(row, traits, request, as_of, state, out[_FIRST_RUNNING:])


@njit(cache=True, nogil=True)
def _read_ended(row: int, known: int, traits: Traits, state: Nearby, out: np.ndarray) -> None:
    order = np.argsort(state.ended[row, :known, RUN])
    weights = np.empty(known)
    for w in range(len(BANDWIDTHS)):
        for place in range(known):
            since = (state.total[row] - 1 - place) % KEPT
            kept = state.ended[row, place]
            gap = _gap(kept[LOG_REQUEST], traits.log_request) + _gap(kept[LOG_PROCESSORS], traits.log_processors)
            weight = exp(-gap / BANDWIDTHS[w] - since / FADING[w]) + _LEAST
            weights[place] = weight * NAME_WEIGHT if traits.name > 0.0 and kept[NAME] == traits.name else weight
        _describe(state.ended[row], order, weights, out[w * _PER_WIDTH : (w + 1) * _PER_WIDTH])


@njit(cache=True, nogil=True)
def _describe(ended: np.ndarray, order: np.ndarray, weights: np.ndarray, out: np.ndarray) -> None:
    """Write the weighted statistics of the jobs, which ``order`` sorts by run time."""
    total = mean = square = ratio = rated = reached = 0.0
    for place in range(len(order)):
        weight, log_run, share = weights[place], ended[place, LOG_RUN], ended[place, RATIO]
        total += weight
        mean += weight * log_run
        square += weight * log_run * log_run
        if not np.isnan(share):
            rated += weight
            ratio += weight * share
            reached += weight * (share >= _REACHED)
    mean /= total
    out[0], out[1], out[2] = log(total), mean, sqrt(max(square / total - mean * mean, 0.0))
    if rated > 0.0:
        out[3], out[4] = ratio / rated, reached / rated
    passed, level = 0.0, 0
    for place in order:
        passed += weights[place]
        while level < len(LEVELS) and passed >= LEVELS[level] * total:
            out[_FIRST_QUANTILE + level] = ended[place, LOG_RUN]
            level += 1
    for rest in range(level, len(LEVELS)):  # the sum of the weights may fall short by rounding
        out[_FIRST_QUANTILE + rest] = ended[order[-1], LOG_RUN]


@njit(cache=True, nogil=True)
def _read_running(row: int, traits: Traits, request: float, as_of: int, state: Nearby, out: np.ndarray) -> None:
    longest, shortest, alike, alike_longest = 0.0, inf, 0, 0.0
    for place in range(state.runs[row]):
        running = state.running[row, place]
        elapsed = max(as_of - running[START], 0.0)
        longest, shortest = max(longest, elapsed), min(shortest, elapsed)
        gap = _gap(running[RUNNING_REQUEST], traits.log_request)
        if gap + _gap(running[RUNNING_PROCESSORS], traits.log_processors) == 0.0:
            alike += 1
            alike_longest = max(alike_longest, elapsed)
    out[0] = state.runs[row]
    out[3] = alike
    if state.runs[row] > 0:
        out[1], out[2] = log1p(longest), log1p(shortest)
    if alike > 0:
        out[4], out[5] = log1p(alike_longest), alike_longest / request
