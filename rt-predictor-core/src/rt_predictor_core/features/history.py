"""History features: one event-ordered kernel that observes ended jobs and reads as of a submit time.

For each key (``features.keys``) the state holds one row of statistics, updated when a job of that key ends; beside them
stand the user's newest jobs one by one (``features.neighbours``) and what waits now (``features.queued``). ``sweep``
runs a whole log through the same functions that the service calls for one event, so training and serving cannot differ.
Recency-weighted statistics of a user's own ended jobs as predictors: Tsafrir, Etsion, Feitelson, "Backfilling Using
System-Generated Predictions", IEEE TPDS 18(6), 2007.
"""

from __future__ import annotations

from math import log1p, nan
from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit

from rt_predictor_core.features import neighbours, queued
from rt_predictor_core.features.keys import KEYS, TIER_KEYS, fill
from rt_predictor_core.features.neighbours import Nearby, traits_of
from rt_predictor_core.features.queued import Queue
from rt_predictor_core.features.slots import row_for, slot_of
from rt_predictor_core.requests import NUMBERS, STEM

DECAY: Final = 0.8
"""Weight of the past when one more job of a key ends."""

STATISTICS: Final = (
    "ended",
    "weight",
    "sum_log",
    "ratio_weight",
    "sum_ratio",
    "sum_failed",
    "last_end",
)
"""What the state holds per key; logs are of the run time in seconds, ratios are run time / requested wallclock."""

(
    ENDED,
    WEIGHT,
    SUM_LOG,
    RATIO_WEIGHT,
    SUM_RATIO,
    SUM_FAILED,
    LAST_END,
) = range(len(STATISTICS))

PER_KEY: Final = ("log_ended", "mean_log", "mean_ratio", "failed", "log_age")
FEATURES: Final = (
    *(f"{key}_{feature}" for key in KEYS for feature in PER_KEY),
    *neighbours.FEATURES,
    *queued.FEATURES,
)
"""Names in order: the statistics of each key, the neighbours, and what waits."""

END, START, LEAVE, SUBMIT = 0, 1, 2, 3
"""Kinds of events, in the order in which events of one second are taken. A start takes the job out of the queue;
``LEAVE`` is for a job that leaves it without a start that shows."""

_KEYS = len(KEYS)
_PER_KEY = len(PER_KEY)
_FIRST_NEIGHBOUR = _KEYS * _PER_KEY
_FIRST_QUEUED = _FIRST_NEIGHBOUR + len(neighbours.FEATURES)
_TIER_KEYS = np.array(TIER_KEYS)
_NO_KEY = np.uint64(0)
_WALLCLOCK, _PROCESSORS = NUMBERS.index("wallclock_req"), NUMBERS.index("processors_req")


class Statistics(NamedTuple):
    """The state by key, in a form that compiled code takes.

    Attributes
    ----------
    table, slots: see ``slots``. used: int64[1], rows in use. rows: float64[rows, len(STATISTICS)].
    """

    table: np.ndarray
    slots: np.ndarray
    used: np.ndarray
    rows: np.ndarray


class Asked(NamedTuple):
    """What the kernel needs of ``n`` requests.

    Attributes
    ----------
    keys: uint64[n, len(KEYS)]. stem: uint64[n]. request, processors: float64[n], NaN if unknown. submit: int64[n].
    """

    keys: np.ndarray
    stem: np.ndarray
    request: np.ndarray
    processors: np.ndarray
    submit: np.ndarray


class Happened(NamedTuple):
    """What happened to the same jobs.

    Attributes
    ----------
    start, end: int64[n], seconds since 1970. run: float64[n], run time [s]. failed: float64[n], 0 or 1.
    queued: bool[n], whether the job waits after its submit until an event takes it out of the queue.
    """

    start: np.ndarray
    end: np.ndarray
    run: np.ndarray
    failed: np.ndarray
    queued: np.ndarray


@njit(cache=True, nogil=True)
def _row(key: np.uint64, state: Statistics) -> Any:
    before = state.used[0]
    row = row_for(key, state.table, state.slots, state.used)
    if row == before:
        state.rows[row, :] = 0.0
    return state.rows[row]


@njit(cache=True, nogil=True)
def observe_submit(asked: Asked, i: int, queue: Queue) -> None:
    """Take in that job ``i`` was submitted and waits."""
    core_seconds = queued.core_seconds_of(asked.request[i], asked.processors[i])
    queued.enter(asked.keys[i], asked.submit[i], core_seconds, queue)


@njit(cache=True, nogil=True)
def observe_leave(asked: Asked, i: int, queue: Queue) -> None:
    """Take in that job ``i``, whose submit was taken in, waits no more."""
    core_seconds = queued.core_seconds_of(asked.request[i], asked.processors[i])
    queued.leave(asked.keys[i], asked.submit[i], core_seconds, queue)


@njit(cache=True, nogil=True)
def observe_start(asked: Asked, i: int, start: int, nearby: Nearby) -> None:
    """Take in that job ``i`` started at ``start`` [s since 1970]."""
    traits = traits_of(asked.request[i], asked.processors[i], asked.stem[i])
    neighbours.observe_start(asked.keys[i], traits, start, nearby)


@njit(cache=True, nogil=True)
def forget_start(asked: Asked, i: int, start: int, nearby: Nearby) -> None:
    """Take in that job ``i``, whose ``start`` was taken in, runs no more, and was no run."""
    traits = traits_of(asked.request[i], asked.processors[i], asked.stem[i])
    neighbours.forget_start(asked.keys[i], traits, start, nearby)


@njit(cache=True, nogil=True)
def observe_end(
    asked: Asked,
    i: int,
    start: int,
    end: int,
    run: float,
    failed: float,
    started: bool,
    state: Statistics,
    nearby: Nearby,
) -> None:
    """Take in that job ``i`` ended: run time [s], failed 0 or 1, whether its start was taken in."""
    keys = asked.keys[i]
    # a request of no time, which a journal may tell, is none
    request = asked.request[i] if asked.request[i] > 0.0 else nan
    log_run, ratio = log1p(run), run / request
    for key in keys:
        if key == _NO_KEY:
            continue
        row = _row(key, state)
        row[ENDED] += 1.0
        row[WEIGHT] = row[WEIGHT] * DECAY + 1.0
        row[SUM_LOG] = row[SUM_LOG] * DECAY + log_run
        row[SUM_FAILED] = row[SUM_FAILED] * DECAY + failed
        if not np.isnan(ratio):
            row[RATIO_WEIGHT] = row[RATIO_WEIGHT] * DECAY + 1.0
            row[SUM_RATIO] = row[SUM_RATIO] * DECAY + ratio
        row[LAST_END] = max(row[LAST_END], np.float64(end))
    traits = traits_of(request, asked.processors[i], asked.stem[i])
    neighbours.observe_end(keys, traits, start, run, request, started, nearby)


@njit(cache=True, nogil=True)
def _fill_key(row: np.ndarray, as_of: int, out: np.ndarray) -> None:
    out[:] = nan
    out[0] = log1p(row[ENDED])
    if row[ENDED] == 0.0:
        return
    out[1] = row[SUM_LOG] / row[WEIGHT]
    if row[RATIO_WEIGHT] > 0.0:
        out[2] = row[SUM_RATIO] / row[RATIO_WEIGHT]
    out[3] = row[SUM_FAILED] / row[WEIGHT]
    out[4] = log1p(max(as_of - row[LAST_END], 0.0))


@njit(cache=True, nogil=True)
def read_row(asked: Asked, i: int, state: Statistics, nearby: Nearby, queue: Queue, out: np.ndarray) -> tuple[int, int]:
    """Write the features of job ``i`` as of its submit time into ``out``, float32[len(FEATURES)].

    Returns the tier (index into ``keys.TIERS``) and the ended jobs known at it.
    """
    keys, as_of = asked.keys[i], asked.submit[i]
    out[:] = nan
    ended = np.zeros(_KEYS)
    for k in range(_KEYS):
        if keys[k] == _NO_KEY:
            continue
        place = slot_of(state.table, state.slots, keys[k])
        if state.slots[place] < 0:
            continue
        row = state.rows[state.slots[place]]
        ended[k] = row[ENDED]
        _fill_key(row, as_of, out[k * _PER_KEY : (k + 1) * _PER_KEY])
    traits = traits_of(asked.request[i], asked.processors[i], asked.stem[i])
    neighbours.read(keys, traits, asked.request[i], as_of, nearby, out[_FIRST_NEIGHBOUR:_FIRST_QUEUED])
    queued.read(keys, as_of, queue, out[_FIRST_QUEUED:])
    tier, jobs = 0, 0
    for t in range(len(_TIER_KEYS)):
        if ended[_TIER_KEYS[t]] > 0.0:
            tier, jobs = t + 1, int(ended[_TIER_KEYS[t]])
    return tier, jobs


@njit(cache=True, nogil=True)
def asked_of(texts: np.ndarray, numbers: np.ndarray, submit: np.ndarray) -> Asked:
    """Return what is needed of requests with these columns."""
    keys = np.zeros((len(submit), _KEYS), np.uint64)
    fill(texts, numbers, keys)
    return Asked(keys, texts[:, STEM], numbers[:, _WALLCLOCK], numbers[:, _PROCESSORS], submit)


@njit(cache=True, nogil=True)
def read_many(
    texts: np.ndarray,
    numbers: np.ndarray,
    submit: np.ndarray,
    state: tuple[np.ndarray, ...],
    nearby: tuple[np.ndarray, ...],
    queue: tuple[np.ndarray, ...],
    out: np.ndarray,
    tier: np.ndarray,
    jobs: np.ndarray,
) -> None:
    """Read each of ``n`` requests: ``out`` float32[n, len(FEATURES)], ``tier`` uint8[n], ``jobs`` uint32[n].

    Takes the columns of ``Requests``, and the states as plain tuples: of named ones numba looks up the type at each
    call, which takes as long as the reading of a row.
    """
    asked, known = asked_of(texts, numbers, submit), Statistics(*state)
    people, waiting = Nearby(*nearby), Queue(*queue)
    for i in range(len(out)):
        tier[i], jobs[i] = read_row(asked, i, known, people, waiting, out[i])


@njit(cache=True, nogil=True)
def sweep(
    begin: int,
    kinds: np.ndarray,
    order: np.ndarray,
    asked: Asked,
    happened: Happened,
    state: Statistics,
    nearby: Nearby,
    queue: Queue,
    out: np.ndarray,
    tier: np.ndarray,
    jobs: np.ndarray,
    place: np.ndarray,
) -> int:
    """Run events ``begin``.. through the state; ``kinds[e]`` says what happened to job ``order[e]``.

    What job ``j`` sees at its submit goes to row ``place[j]``, int64; where that is negative, nothing is read.
    Stops early when the state has no room for the keys of one more event and returns the next event's position, so
    that the caller can enlarge it; returns ``len(order)`` when all is done.
    """
    room = min(len(state.rows), len(state.table) // 2) - _KEYS
    room_nearby = min(len(nearby.total), len(nearby.table) // 2) - 1
    room_queue = min(len(queue.waiting), len(queue.table) // 2) - len(queued.WHOSE)
    for e in range(begin, len(order)):
        if state.used[0] > room or nearby.used[0] > room_nearby or queue.used[0] > room_queue:
            return e
        j = order[e]
        if kinds[e] == SUBMIT:
            row = place[j]
            if row >= 0:
                tier[row], jobs[row] = read_row(asked, j, state, nearby, queue, out[row])
            if happened.queued[j]:
                observe_submit(asked, j, queue)
        elif kinds[e] == LEAVE:
            observe_leave(asked, j, queue)
        elif kinds[e] == START:
            if happened.queued[j]:
                observe_leave(asked, j, queue)
            observe_start(asked, j, happened.start[j], nearby)
        else:
            start, end = happened.start[j], happened.end[j]
            started = max(start, asked.submit[j] + 1) < max(end, asked.submit[j] + 1)  # see EventLog.events
            observe_end(asked, j, start, end, happened.run[j], happened.failed[j], started, state, nearby)
    return len(order)
