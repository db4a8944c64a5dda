"""History features: one event-ordered kernel that observes ended jobs and reads as of a submit time.

For each key (``features.keys``) the state holds one row of numbers, updated when a job of that key ends. ``sweep``
runs a whole log through the same ``observe_start``, ``observe_end`` and ``read_row`` that the service calls for one
event, so training and serving cannot differ. Recency-weighted statistics of a user's own ended jobs as predictors:
Tsafrir, Etsion, Feitelson, "Backfilling Using System-Generated Predictions", IEEE TPDS 18(6), 2007.
"""

from __future__ import annotations

from math import log, log1p, nan, sqrt
from typing import Final

import numpy as np
from numba import njit

from rt_predictor_core.features.keys import KEYS, TIER_KEYS, USER

DECAY: Final = 0.8
"""Weight of the past when one more job of a key ends."""

STATISTICS: Final = (
    "ended",
    "last_log",
    "previous_log",
    "last_ratio",
    "weight",
    "sum_log",
    "sum_log_squared",
    "ratio_weight",
    "sum_ratio",
    "sum_failed",
    "last_end",
    "running",
    "sum_start",
)
"""What the state holds per key; logs are of the run time in seconds, ratios are run time / requested wallclock."""

(
    ENDED,
    LAST_LOG,
    PREVIOUS_LOG,
    LAST_RATIO,
    WEIGHT,
    SUM_LOG,
    SUM_LOG_SQUARED,
    RATIO_WEIGHT,
    SUM_RATIO,
    SUM_FAILED,
    LAST_END,
    RUNNING,
    SUM_START,
) = range(len(STATISTICS))

PER_KEY: Final = (
    "log_ended",
    "last_log",
    "previous_log",
    "last_ratio",
    "mean_log",
    "spread_log",
    "mean_ratio",
    "failed",
    "log_age",
    "running",
)
FEATURES: Final = (*(f"{key}_{feature}" for key in KEYS for feature in PER_KEY), "user_mean_log_elapsed")
"""Names in order: for each key its ten features, then how long the user's running jobs have run."""

END, START, SUBMIT = 0, 1, 2
"""Kinds of events, in the order in which events of one second are taken."""

_KEYS = len(KEYS)
_PER_KEY = len(PER_KEY)
_TIER_KEYS = np.array(TIER_KEYS)
_NO_KEY = np.uint64(0)


@njit(cache=True, nogil=True)
def slot_of(table: np.ndarray, slots: np.ndarray, key: np.uint64) -> int:
    """Return the table position that holds ``key`` or is free for it: linear probing in a table of 2^k places."""
    mask = len(table) - 1
    place = np.int64((key >> np.uint64(17)) & np.uint64(mask))
    while slots[place] >= 0 and table[place] != key:
        place = (place + 1) & mask
    return int(place)


@njit(cache=True, nogil=True)
def index(keys: np.ndarray, table: np.ndarray, slots: np.ndarray) -> None:
    """Enter ``keys``, uint64[k], into an empty table: the i-th leads to row i."""
    for row in range(len(keys)):
        place = slot_of(table, slots, keys[row])
        table[place] = keys[row]
        slots[place] = row


@njit(cache=True, nogil=True)
def _row_for(key: np.uint64, table: np.ndarray, slots: np.ndarray, stats: np.ndarray, used: np.ndarray) -> int:
    place = slot_of(table, slots, key)
    if slots[place] < 0:
        table[place] = key
        slots[place] = used[0]
        stats[used[0], :] = 0.0
        used[0] += 1
    return int(slots[place])


@njit(cache=True, nogil=True)
def observe_start(
    keys: np.ndarray, start: int, table: np.ndarray, slots: np.ndarray, stats: np.ndarray, used: np.ndarray
) -> None:
    """Take in that a job of ``keys``, uint64[len(KEYS)], started at ``start`` [s since 1970]."""
    for key in keys:
        if key != _NO_KEY:
            row = stats[_row_for(key, table, slots, stats, used)]
            row[RUNNING] += 1.0
            row[SUM_START] += start


@njit(cache=True, nogil=True)
def observe_end(
    keys: np.ndarray,
    start: int,
    end: int,
    run: float,
    request: float,
    failed: float,
    started: bool,
    table: np.ndarray,
    slots: np.ndarray,
    stats: np.ndarray,
    used: np.ndarray,
) -> None:
    """Take in that a job ended: run time [s], requested wallclock [s] or NaN, failed 0 or 1, start seen or not."""
    log_run = log1p(run)
    ratio = run / request
    for key in keys:
        if key == _NO_KEY:
            continue
        row = stats[_row_for(key, table, slots, stats, used)]
        row[PREVIOUS_LOG] = row[LAST_LOG]
        row[LAST_LOG] = log_run
        row[ENDED] += 1.0
        row[WEIGHT] = row[WEIGHT] * DECAY + 1.0
        row[SUM_LOG] = row[SUM_LOG] * DECAY + log_run
        row[SUM_LOG_SQUARED] = row[SUM_LOG_SQUARED] * DECAY + log_run * log_run
        row[SUM_FAILED] = row[SUM_FAILED] * DECAY + failed
        if not np.isnan(ratio):
            row[LAST_RATIO] = ratio
            row[RATIO_WEIGHT] = row[RATIO_WEIGHT] * DECAY + 1.0
            row[SUM_RATIO] = row[SUM_RATIO] * DECAY + ratio
        row[LAST_END] = max(row[LAST_END], np.float64(end))
        if started:
            row[RUNNING] -= 1.0
            row[SUM_START] -= start


@njit(cache=True, nogil=True)
def _fill_key(row: np.ndarray, as_of: int, out: np.ndarray) -> None:
    out[:] = nan
    ended = row[ENDED]
    out[0] = log1p(ended)
    out[9] = row[RUNNING]
    if ended == 0.0:
        return
    mean = row[SUM_LOG] / row[WEIGHT]
    out[1] = row[LAST_LOG]
    if ended > 1.0:
        out[2] = row[PREVIOUS_LOG]
    if row[RATIO_WEIGHT] > 0.0:
        out[3] = row[LAST_RATIO]
        out[6] = row[SUM_RATIO] / row[RATIO_WEIGHT]
    out[4] = mean
    out[5] = sqrt(max(row[SUM_LOG_SQUARED] / row[WEIGHT] - mean * mean, 0.0))
    out[7] = row[SUM_FAILED] / row[WEIGHT]
    out[8] = log1p(max(as_of - row[LAST_END], 0.0))


@njit(cache=True, nogil=True)
def read_row(
    keys: np.ndarray, as_of: int, table: np.ndarray, slots: np.ndarray, stats: np.ndarray, out: np.ndarray
) -> tuple[int, int]:
    """Write the features of one job as of its submit time into ``out``, float32[len(FEATURES)].

    Returns the tier (index into ``keys.TIERS``) and the ended jobs known at it.
    """
    out[:] = nan
    ended = np.zeros(_KEYS)
    for k in range(_KEYS):
        if keys[k] == _NO_KEY:
            continue
        place = slot_of(table, slots, keys[k])
        if slots[place] < 0:
            continue
        row = stats[slots[place]]
        ended[k] = row[ENDED]
        _fill_key(row, as_of, out[k * _PER_KEY : (k + 1) * _PER_KEY])
        if k == USER and row[RUNNING] > 0.0:
            elapsed = max(as_of - row[SUM_START] / row[RUNNING], 0.0)
            out[_KEYS * _PER_KEY] = log(1.0 + elapsed)
    tier, jobs = 0, 0
    for t in range(len(_TIER_KEYS)):
        if ended[_TIER_KEYS[t]] > 0.0:
            tier, jobs = t + 1, int(ended[_TIER_KEYS[t]])
    return tier, jobs


@njit(cache=True, nogil=True)
def read_many(
    keys: np.ndarray,
    as_of: np.ndarray,
    table: np.ndarray,
    slots: np.ndarray,
    stats: np.ndarray,
    out: np.ndarray,
    tier: np.ndarray,
    jobs: np.ndarray,
) -> None:
    """Read each of ``n`` jobs: ``out`` float32[n, len(FEATURES)], ``tier`` uint8[n], ``jobs`` uint32[n]."""
    for i in range(len(keys)):
        tier[i], jobs[i] = read_row(keys[i], as_of[i], table, slots, stats, out[i])


@njit(cache=True, nogil=True)
def sweep(
    begin: int,
    kinds: np.ndarray,
    order: np.ndarray,
    keys: np.ndarray,
    submit: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    run: np.ndarray,
    request: np.ndarray,
    failed: np.ndarray,
    table: np.ndarray,
    slots: np.ndarray,
    stats: np.ndarray,
    used: np.ndarray,
    out: np.ndarray,
    tier: np.ndarray,
    jobs: np.ndarray,
) -> int:
    """Run events ``begin``.. through the state; ``kinds[e]`` says what happened to job ``order[e]``.

    Stops early when the state has no room for the keys of one more event and returns the next event's position, so
    that the caller can enlarge it; returns ``len(order)`` when all is done.
    """
    room = min(len(stats), len(table) // 2) - _KEYS
    for e in range(begin, len(order)):
        j = order[e]
        if kinds[e] == SUBMIT:
            tier[j], jobs[j] = read_row(keys[j], submit[j], table, slots, stats, out[j])
            continue
        if used[0] > room:
            return e
        if kinds[e] == START:
            observe_start(keys[j], start[j], table, slots, stats, used)
        else:
            observe_end(keys[j], start[j], end[j], run[j], request[j], failed[j], True, table, slots, stats, used)
    return len(order)
