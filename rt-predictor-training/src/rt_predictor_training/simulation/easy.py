"""EASY backfilling as a compiled, resumable event loop.

Jobs start first come, first served. The first one that does not fit gets a reservation, the earliest moment at which
the estimates of the running jobs leave it enough processors; any other job may start before it if that does not delay
the reservation (Lifka, "The ANL/IBM SP Scheduling System", JSSPP 1995). Candidates are tried in submit order (EASY) or
the shortest estimate first (EASY-SJBF; Tsafrir, Etsion, Feitelson, IEEE TPDS 18(6), 2007). A job that outruns its
estimate is from then on expected to run as long as it asked for.

Order within a second, as in the simulator of Gaussier et al., SC'15, whose published figures it reproduces: first the
estimates that are over, then the submits, then the ends. Jobs that end by their estimate in this second are gone for
the submits already. In EASY a submit only makes the scheduler look at the queue when the new job would fit.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

(SUBMIT, RUN, WIDTH, REQUEST, ESTIMATE, RANK, START, END, EXPECTED_END, RESERVED) = range(10)
"""Rows of the job table, int64[10, n]: times [s], width [processors]; RANK orders candidates for backfilling, RESERVED
is the first reservation that a job got; START, END and RESERVED are ``UNSET`` until they are known."""

QUEUE, CANDIDATES, EXPECTED, ENDING = range(4)
"""Ordered lists of jobs, int64[4, n]: waiting by submit, waiting by RANK, running by EXPECTED_END, running by END."""

WAITING, RUNNING, SUBMITTED, HAPPENED, FREE = range(5)
"""Counters, int64[5]. Processors FREE may fall below 0 within a second in which jobs still have to end."""

UNSET: Final = np.iinfo(np.int64).min
NEVER: Final = np.iinfo(np.int64).max


@njit(cache=True)
def _insert(order: np.ndarray, count: int, keys: np.ndarray, job: int) -> None:
    """Put a job into the first ``count`` places of an ordered list, after those with the same key."""
    place = count
    while place > 0 and keys[order[place - 1]] > keys[job]:
        order[place] = order[place - 1]
        place -= 1
    order[place] = job


@njit(cache=True)
def _remove(order: np.ndarray, count: int, job: int) -> None:
    place = 0
    while order[place] != job:
        place += 1
    order[place : count - 1] = order[place + 1 : count].copy()


@njit(cache=True)
def _start(job: int, now: int, jobs: np.ndarray, lists: np.ndarray, counts: np.ndarray, happened: np.ndarray) -> None:
    jobs[START, job] = now
    jobs[END, job] = now + jobs[RUN, job]
    jobs[EXPECTED_END, job] = now + jobs[ESTIMATE, job]
    _insert(lists[EXPECTED], counts[RUNNING], jobs[EXPECTED_END], job)
    _insert(lists[ENDING], counts[RUNNING], jobs[END], job)
    counts[RUNNING] += 1
    counts[FREE] -= jobs[WIDTH, job]
    happened[counts[HAPPENED]] = job
    counts[HAPPENED] += 1


@njit(cache=True)
def _free_now(now: int, jobs: np.ndarray, lists: np.ndarray, counts: np.ndarray) -> tuple[int, int]:
    """Raise estimates that are over; return the free processors and how many running jobs end in this second."""
    free, ending = counts[FREE], 0
    expected = lists[EXPECTED]
    while ending < counts[RUNNING] and jobs[EXPECTED_END, expected[ending]] <= now:
        job = expected[ending]
        if jobs[END, job] <= jobs[EXPECTED_END, job]:
            free += jobs[WIDTH, job]
            ending += 1
            continue
        _remove(expected, counts[RUNNING], job)
        jobs[EXPECTED_END, job] = jobs[START, job] + jobs[REQUEST, job]
        _insert(expected, counts[RUNNING] - 1, jobs[EXPECTED_END], job)
    return free, ending


@njit(cache=True)
def _reserve(
    head: int, free: int, ending: int, jobs: np.ndarray, lists: np.ndarray, counts: np.ndarray
) -> tuple[int, int]:
    """Return when the head job is expected to start, and how many processors it leaves over then."""
    place, moment = ending, UNSET
    while place < counts[RUNNING]:
        job = lists[EXPECTED, place]
        if free >= jobs[WIDTH, head] and jobs[EXPECTED_END, job] > moment:
            break
        moment = jobs[EXPECTED_END, job]
        free += jobs[WIDTH, job]
        place += 1
    if jobs[RESERVED, head] == UNSET:
        jobs[RESERVED, head] = moment
    return moment, free - jobs[WIDTH, head]


@njit(cache=True)
def _backfill(
    now: int, free: int, ending: int, jobs: np.ndarray, lists: np.ndarray, counts: np.ndarray, happened: np.ndarray
) -> None:
    head = lists[QUEUE, 0]
    moment, extra = _reserve(head, free, ending, jobs, lists, counts)
    for place in range(counts[WAITING]):
        job = lists[CANDIDATES, place]
        width = jobs[WIDTH, job]
        if job == head or width > free:
            continue
        if now + jobs[ESTIMATE, job] > moment:
            if width > extra:
                continue
            extra -= width
        free -= width
        _start(job, now, jobs, lists, counts, happened)


@njit(cache=True)
def _drop_started(jobs: np.ndarray, lists: np.ndarray, counts: np.ndarray) -> None:
    for order in lists[: CANDIDATES + 1]:
        kept = 0
        for place in range(counts[WAITING]):
            if jobs[START, order[place]] == UNSET:
                order[kept] = order[place]
                kept += 1
    counts[WAITING] = kept


@njit(cache=True)
def _schedule(now: int, jobs: np.ndarray, lists: np.ndarray, counts: np.ndarray, happened: np.ndarray) -> None:
    """Start what may start now."""
    free, ending = _free_now(now, jobs, lists, counts)
    begun = 0
    while begun < counts[WAITING] and jobs[WIDTH, lists[QUEUE, begun]] <= free:
        free -= jobs[WIDTH, lists[QUEUE, begun]]
        _start(lists[QUEUE, begun], now, jobs, lists, counts, happened)
        begun += 1
    if begun:
        _drop_started(jobs, lists, counts)
    if counts[WAITING] > 1 and free > 0:
        before = counts[HAPPENED]
        _backfill(now, free, ending, jobs, lists, counts, happened)
        if counts[HAPPENED] > before:
            _drop_started(jobs, lists, counts)


@njit(cache=True)
def advance(
    rows: int,
    until: int,
    eager: bool,
    jobs: np.ndarray,
    lists: np.ndarray,
    counts: np.ndarray,
    happened: np.ndarray,
) -> None:
    """Submit the jobs before row ``rows``, in order, and end the jobs that end before ``until`` [s].

    The jobs to be submitted need their estimates by now. ``happened``, int64[2n], gets each event in order: ``job``
    for a start, ``~job`` for an end. ``eager`` makes every submit a reason to look at the queue.
    """
    while True:
        submit = jobs[SUBMIT, counts[SUBMITTED]] if counts[SUBMITTED] < rows else NEVER
        end = jobs[END, lists[ENDING, 0]] if counts[RUNNING] else NEVER
        if submit != NEVER and submit <= end:
            job = counts[SUBMITTED]
            counts[SUBMITTED] += 1
            _insert(lists[QUEUE], counts[WAITING], jobs[SUBMIT], job)
            _insert(lists[CANDIDATES], counts[WAITING], jobs[RANK], job)
            counts[WAITING] += 1
            if eager or jobs[WIDTH, job] <= _free_now(submit, jobs, lists, counts)[0]:
                _schedule(submit, jobs, lists, counts, happened)
        elif end < until:
            job = lists[ENDING, 0]
            _remove(lists[ENDING], counts[RUNNING], job)
            _remove(lists[EXPECTED], counts[RUNNING], job)
            counts[RUNNING] -= 1
            counts[FREE] += jobs[WIDTH, job]
            happened[counts[HAPPENED]] = ~job
            counts[HAPPENED] += 1
            _schedule(end, jobs, lists, counts, happened)
        else:
            return
