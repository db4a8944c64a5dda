"""Queued jobs: how many jobs wait at the moment of a submission, of the user, with the same request, and of the site.

Of each key the jobs that wait are counted, never listed, so that an event costs the same whatever the queue holds. A
read must not see what was submitted in its own second or later, itself among that, even if that was told before; so the
newest seconds are also counted one by one. Sums are of whole numbers: they do not depend on an order, and come back to
zero when the queue is empty.
"""

from __future__ import annotations

from math import log1p, nan
from typing import Final, NamedTuple

import numpy as np
from numba import njit

from rt_predictor_core.features import slots
from rt_predictor_core.features.keys import SITE, USER, USER_REQUEST
from rt_predictor_core.features.slots import row_for, slot_of

SECONDS_KEPT: Final = 16
"""Newest seconds with submissions that are counted one by one for each key. A read that lies further back than those,
while older jobs wait, cannot be told what waited then: its features are unknown."""

MOST_CORE_SECONDS: Final = 2**40
"""One job counts for no more, so that the sums of millions of jobs are exact."""

WHOSE: Final = ("user", "alike", "site")
"""Whose jobs are counted: ``alike`` are the user's with the same requested wallclock and processors."""

PER_KEY: Final = ("jobs", "log_core_hours", "log_mean_age")
FEATURES: Final = tuple(f"queued_{whose}_{feature}" for whose in WHOSE for feature in PER_KEY)
"""Names in order; logs are of 1 + value, ages are in seconds since the submit."""

JOBS, CORE_SECONDS, SUBMITS, THROUGH = range(4)
"""What is kept of a key: how many jobs wait, the sums of requested core seconds and of submit times [s since 1970], and
up to which submit time jobs are no more counted by second."""

SECOND, SECOND_JOBS, SECOND_CORE_SECONDS = range(3)
"""What is kept of a second: the second itself, and the same of the jobs submitted in it."""

_KEYS = (USER, USER_REQUEST, SITE)
_PER_KEY = len(PER_KEY)
_NO_KEY = np.uint64(0)
_HOUR = 3600.0
_NEVER = -1


class Queue(NamedTuple):
    """The state, one row per key, in a form that compiled code takes.

    Attributes
    ----------
    table, slots: see ``slots``. used: int64[1], rows in use. since: int64[1], the first submit time told,
    far in the future while there was none.
    waiting: int64[rows, 4]. seconds: int64[rows, SECONDS_KEPT, 3], in no order; a free place has a negative second.
    """

    table: np.ndarray
    slots: np.ndarray
    used: np.ndarray
    since: np.ndarray
    waiting: np.ndarray
    seconds: np.ndarray


def empty(rows: int, keys: np.ndarray, *old: np.ndarray) -> Queue:
    """Return a queue with room for ``rows`` keys that knows ``keys`` and the ``old`` arrays, from ``since`` on."""
    table, places = slots.empty(4 * rows, keys)
    arrays = (
        np.full(1, np.iinfo(np.int64).max),
        np.zeros((rows, THROUGH + 1), np.int64),
        np.zeros((rows, SECONDS_KEPT, SECOND_CORE_SECONDS + 1), np.int64),
    )
    for new, former in zip(arrays, old, strict=False):
        new[: len(former)] = former
    return Queue(table, places, np.array([len(keys)], np.int64), *arrays)


def in_use(queue: Queue) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return copies of keys, ``waiting`` and ``seconds`` of the rows where jobs wait.

    Users who have nothing in the queue take no room in the long run.
    """
    used = int(queue.used[0])
    keys, rows = slots.keys_by_row(queue.table, queue.slots, used), queue.waiting[:used, JOBS] != 0
    return keys[rows], queue.waiting[:used][rows], queue.seconds[:used][rows]


@njit(cache=True, nogil=True)
def core_seconds_of(request: float, processors: float) -> int:
    """Return what a job asks for in core seconds; 0 if that is unknown."""
    asked = request * processors
    return 0 if np.isnan(asked) else int(min(asked, float(MOST_CORE_SECONDS)))


@njit(cache=True, nogil=True)
def enter(keys: np.ndarray, submit: int, core_seconds: int, queue: Queue) -> None:
    """Take in that a job was submitted and waits."""
    queue.since[0] = min(queue.since[0], submit)
    _count(keys, submit, core_seconds, 1, queue)


@njit(cache=True, nogil=True)
def leave(keys: np.ndarray, submit: int, core_seconds: int, queue: Queue) -> None:
    """Take in that a job waits no more, which entered with the same arguments."""
    _count(keys, submit, core_seconds, -1, queue)


@njit(cache=True, nogil=True)
def _count(keys: np.ndarray, submit: int, core_seconds: int, by: int, queue: Queue) -> None:
    for k in _KEYS:
        if keys[k] == _NO_KEY:
            continue
        row = _row(keys[k], queue)
        waiting = queue.waiting[row]
        waiting[JOBS] += by
        waiting[CORE_SECONDS] += by * core_seconds
        waiting[SUBMITS] += by * submit
        place = _place(queue.seconds[row], waiting, submit)
        if place < 0:
            continue
        second = queue.seconds[row, place]
        second[SECOND_JOBS] += by
        second[SECOND_CORE_SECONDS] += by * core_seconds
        if second[SECOND_JOBS] == 0:
            second[SECOND] = _NEVER


@njit(cache=True, nogil=True)
def _row(key: np.uint64, queue: Queue) -> int:
    before = queue.used[0]
    row = row_for(key, queue.table, queue.slots, queue.used)
    if row == before:
        queue.waiting[row, THROUGH] = _NEVER
        queue.seconds[row, :, SECOND] = _NEVER
    return row


@njit(cache=True, nogil=True)
def _place(seconds: np.ndarray, waiting: np.ndarray, submit: int) -> int:
    """Return where the jobs of a second are counted; negative for one that is too old to be counted by itself.

    A new second takes a free place or that of the oldest.
    """
    if submit <= waiting[THROUGH]:
        return -1
    oldest = 0
    for place in range(SECONDS_KEPT):
        if seconds[place, SECOND] == submit:
            return place
        if seconds[place, SECOND] < seconds[oldest, SECOND]:
            oldest = place
    if submit < seconds[oldest, SECOND]:
        waiting[THROUGH] = submit
        return -1
    waiting[THROUGH] = max(waiting[THROUGH], seconds[oldest, SECOND])
    seconds[oldest, SECOND] = submit
    seconds[oldest, SECOND_JOBS] = seconds[oldest, SECOND_CORE_SECONDS] = 0
    return oldest


@njit(cache=True, nogil=True)
def read(keys: np.ndarray, as_of: int, queue: Queue, out: np.ndarray) -> None:
    """Write the features of a job as of its submit time into ``out``, float32[len(FEATURES)]; NaN where unknown.

    All of them are unknown where no submission before it was told.
    """
    out[:] = nan
    if queue.since[0] >= as_of:
        return
    for w in range(len(_KEYS)):
        key = keys[_KEYS[w]]
        if key == _NO_KEY:
            continue
        row = queue.slots[slot_of(queue.table, queue.slots, key)]
        own = out[w * _PER_KEY : (w + 1) * _PER_KEY]
        if row < 0:
            own[0] = own[1] = 0.0
        else:
            _fill_key(queue.waiting[row], queue.seconds[row], as_of, own)


@njit(cache=True, nogil=True)
def _fill_key(waiting: np.ndarray, seconds: np.ndarray, as_of: int, out: np.ndarray) -> None:
    jobs, core_seconds, submits = waiting[JOBS], waiting[CORE_SECONDS], waiting[SUBMITS]
    older = jobs
    for place in range(SECONDS_KEPT):
        second = seconds[place]
        if second[SECOND] < 0:
            continue
        older -= second[SECOND_JOBS]
        if second[SECOND] >= as_of:
            jobs -= second[SECOND_JOBS]
            core_seconds -= second[SECOND_CORE_SECONDS]
            submits -= second[SECOND_JOBS] * second[SECOND]
    if older > 0 and waiting[THROUGH] >= as_of:
        return
    out[0], out[1] = jobs, log1p(core_seconds / _HOUR)
    if jobs > 0:
        out[2] = log1p(as_of - submits / jobs)
