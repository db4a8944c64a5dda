"""The kernel against the definition, written out as slowly as it reads."""

from collections.abc import Callable
from dataclasses import replace
from math import exp, log, log1p, nan, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rt_predictor_core.features import history as kernel
from rt_predictor_core.features import neighbours, queued
from rt_predictor_core.features.keys import ACCOUNT, KEYS, PARTITION, SITE, USER, USER_REQUEST, keys_of
from rt_predictor_core.history.log import EventLog
from rt_predictor_core.history.state import Ended, State, asked_of
from rt_predictor_core.requests import STEM, Requests

RandomLog = Callable[[int, int], tuple[Requests, EventLog]]
LOGS = st.tuples(st.integers(1, 60), st.integers(0, 2**32 - 1))
WALLCLOCK, PROCESSORS = 0, 2


def shown(log_: EventLog, moments: np.ndarray) -> np.ndarray:
    """When others see what happens to a job: never before the second after its submit."""
    return np.maximum(moments, log_.submit + 1)


def known_at(log_: EventLog, now: int) -> tuple[list[int], list[int]]:
    """The jobs that have ended, oldest first, and those that run."""
    seen = log_.ran & (shown(log_, log_.end) <= now)
    begun = log_.ran & (shown(log_, log_.start) <= now) & ~seen
    taught = (log_.identity, log_.failed, log_.request, log_.run, log_.submit, shown(log_, log_.end))
    return [j for j in np.lexsort(taught) if seen[j]], np.flatnonzero(begun).tolist()


def slow_statistics(log_: EventLog, past: list[int], now: int) -> list[float]:
    """What the ended jobs of one key say; they come oldest first."""
    if not past:
        return [nan] * len(kernel.PER_KEY)
    weights = [kernel.DECAY**i for i in range(len(past))][::-1]
    ratios = [log_.run[j] / log_.request[j] for j in past if not np.isnan(log_.request[j])]
    return [
        log1p(len(past)),
        np.average([log1p(log_.run[j]) for j in past], weights=weights),
        np.average(ratios, weights=weights[-len(ratios) :]) if ratios else nan,
        np.average([log_.failed[j] for j in past], weights=weights),
        log1p(max(now - max(log_.end[j] for j in past), 0)),
    ]


def difference(a: float, b: float) -> float:
    if np.isnan(a) and np.isnan(b):
        return 0.0
    return neighbours.UNKNOWN_GAP if np.isnan(a) or np.isnan(b) else abs(log(a) - log(b))


def gap(requests: Requests, one: int, other: int) -> float:
    return sum(difference(*requests.numbers[[one, other], column]) for column in (WALLCLOCK, PROCESSORS))


def slow_width(log_: EventLog, requests: Requests, newest: list[int], job: int, width: int) -> list[float]:
    """What one kernel says of the jobs that have ended, newest first."""
    stem, weights = requests.texts[:, STEM], []
    for since, j in enumerate(newest):
        weight = exp(-gap(requests, j, job) / neighbours.BANDWIDTHS[width] - since / neighbours.FADING[width])
        alike = stem[j] != 0 and stem[j] == stem[job]
        weights.append((weight + 1e-12) * (neighbours.NAME_WEIGHT if alike else 1.0))
    logs = [log1p(log_.run[j]) for j in newest]
    rated = [i for i, j in enumerate(newest) if not np.isnan(log_.request[j])]
    ratios = [log_.run[newest[i]] / log_.request[newest[i]] for i in rated]
    own = [weights[i] for i in rated]
    mean = np.average(logs, weights=weights)
    ranked = sorted(zip(logs, weights, strict=True))
    reached = np.cumsum([weight for _, weight in ranked]) / sum(weights)
    return [
        log(sum(weights)),
        mean,
        sqrt(np.average(np.square(np.array(logs) - mean), weights=weights)),
        np.average(ratios, weights=own) if ratios else nan,
        np.average([ratio >= 0.99 for ratio in ratios], weights=own) if ratios else nan,
        *(ranked[min(int((reached < level).sum()), len(ranked) - 1)][0] for level in neighbours.LEVELS),
    ]


def slow_running(log_: EventLog, requests: Requests, running: list[int], job: int) -> list[float]:
    """What the jobs say that run now."""
    elapsed = [max(log_.submit[job] - log_.start[j], 0) for j in running]
    alike = [since for since, j in zip(elapsed, running, strict=True) if gap(requests, j, job) == 0.0]
    return [
        len(running),
        log1p(max(elapsed)) if running else nan,
        log1p(min(elapsed)) if running else nan,
        len(alike),
        log1p(max(alike)) if alike else nan,
        max(alike) / requests.wallclock_req[job] if alike else nan,
    ]


def slow_queued(log_: EventLog, requests: Requests, job: int) -> list[float]:
    """What the jobs say that wait now, which the log must tell the end of."""
    keys, now = keys_of(requests), int(log_.submit[job])
    left = np.where(log_.start >= 0, log_.start, log_.end)
    queued_once = left > log_.submit + 1
    waiting = np.flatnonzero(queued_once & (log_.submit < now) & (left > now))
    if not (queued_once & (log_.submit < now)).any():
        return [nan] * len(queued.FEATURES)
    out = []
    for k in (USER, USER_REQUEST, SITE):
        own = [j for j in waiting if keys[j, k] == keys[job, k]]
        core_seconds = np.nansum([requests.numbers[j, WALLCLOCK] * requests.numbers[j, PROCESSORS] for j in own])
        age = log1p(np.mean([now - log_.submit[j] for j in own])) if own else nan
        out += [len(own), log1p(core_seconds / 3600), age] if keys[job, k] else [nan] * len(queued.PER_KEY)
    return out


def slow_features(log_: EventLog, requests: Requests, job: int) -> np.ndarray:
    """What one submit may know, from the definition: filter the log, then compute."""
    keys, now = keys_of(requests), int(log_.submit[job])
    ended, running = known_at(log_, now)
    out: list[float] = []
    for k in range(len(KEYS)):
        past = [j for j in ended if keys[j, k] == keys[job, k] != 0]
        out += slow_statistics(log_, past, now)
    whose = [next(row[k] for k in (USER, ACCOUNT, PARTITION, SITE) if row[k]) for row in keys]
    newest = [j for j in ended if whose[j] == whose[job]][: -neighbours.KEPT - 1 : -1]
    running = [j for j in running if whose[j] == whose[job]]
    waiting = slow_queued(log_, requests, job)
    if not newest and not running:
        return np.array(out + [nan] * len(neighbours.FEATURES) + waiting)
    for width in range(len(neighbours.WIDTHS)):
        none = [nan] * len(neighbours.PER_WIDTH)
        out += slow_width(log_, requests, newest, job, width) if newest else none
    return np.array(out + slow_running(log_, requests, running, job) + waiting)


def assert_as_defined(requests: Requests, log_: EventLog, jobs: range) -> None:
    rows = State().replay(log_, requests)
    for job in jobs:
        # the variance is a difference of large numbers: its root is only good to about 1e-6
        np.testing.assert_allclose(rows.features[job], slow_features(log_, requests, job), rtol=1e-5, atol=2e-6)


@settings(max_examples=30, deadline=None)
@given(size_and_seed=LOGS)
def test_the_sweep_gives_what_the_definition_says(random_log: RandomLog, size_and_seed: tuple[int, int]) -> None:
    requests, log_ = random_log(*size_and_seed)
    assert_as_defined(requests, log_, range(len(log_)))


@pytest.mark.parametrize("seed", [1, 2])
def test_only_the_newest_jobs_of_a_user_are_looked_at_one_by_one(random_log: RandomLog, seed: int) -> None:
    jobs = 3 * neighbours.KEPT
    requests, log_ = random_log(jobs, seed)
    requests.texts[:] = requests.texts[0]
    spread = 3 * log_.submit  # so that few run at a time
    requests = replace(requests, submit_time=spread)
    later = spread - log_.submit
    log_ = replace(log_, submit=spread, start=log_.start + later, end=log_.end + later)
    assert_as_defined(requests, log_, range(jobs - 40, jobs))


@settings(max_examples=30, deadline=None)
@given(size_and_seed=LOGS)
def test_events_fed_one_by_one_give_the_same_bits(random_log: RandomLog, size_and_seed: tuple[int, int]) -> None:
    requests, log_ = random_log(*size_and_seed)
    asked = asked_of(requests)
    whole = State().replay(log_, requests)
    state, seen = State(), {}
    for kind, job in zip(*log_.events(), strict=True):
        if kind == kernel.SUBMIT:
            row = state.read(requests.take(slice(job, job + 1)))
            np.testing.assert_array_equal(row.features[0], whole.features[job])
            assert (row.tier[0], row.jobs[0]) == (whole.tier[job], whole.jobs[job])
            if log_.queued[job]:
                state.observe_submit(asked, job)
                again = state.read(requests.take(slice(job, job + 1)))
                np.testing.assert_array_equal(again.features, row.features)
        elif kind == kernel.LEAVE:
            state.observe_leave(asked, job)
        elif kind == kernel.START:
            seen[job] = int(log_.start[job])
            if log_.queued[job]:
                state.observe_leave(asked, job)
            state.observe_start(asked, job, seen[job])
        else:
            end, run, failed = int(log_.end[job]), float(log_.run[job]), bool(log_.failed[job])
            state.observe_end(asked, job, Ended(end, run, failed, seen.get(job)))


@settings(max_examples=20, deadline=None)
@given(size_and_seed=LOGS)
def test_the_order_of_rows_does_not_matter(random_log: RandomLog, size_and_seed: tuple[int, int]) -> None:
    requests, log_ = random_log(*size_and_seed)
    shuffled = np.random.default_rng(0).permutation(len(log_))
    rows = State().replay(log_, requests)
    again = State().replay(log_.take(shuffled), requests.take(shuffled))
    np.testing.assert_array_equal(again.features, rows.features[shuffled])


@settings(max_examples=20, deadline=None)
@given(size_and_seed=LOGS)
def test_rows_that_are_wanted_alone_are_as_among_all(random_log: RandomLog, size_and_seed: tuple[int, int]) -> None:
    requests, log_ = random_log(*size_and_seed)
    wanted = np.flatnonzero(np.random.default_rng(1).random(len(log_)) < 0.3)
    whole, state, same = State().replay(log_, requests), State(), State()
    some = state.replay(log_, requests, wanted)
    for name in ("features", "tier", "jobs"):
        np.testing.assert_array_equal(getattr(some, name), getattr(whole.take(wanted), name))
    same.replay(log_, requests)
    for name, array in state.snapshot().items():
        np.testing.assert_array_equal(array, same.snapshot()[name])


def together(random_log: RandomLog, jobs: int) -> tuple[Requests, EventLog]:
    """Jobs of one user that are submitted, start and end in the same seconds, and one that is submitted in between."""
    requests, log_ = random_log(jobs, 7)
    requests.texts[:, :STEM] = requests.texts[0, :STEM]
    requests.texts[:, 0] = 3
    requests.submit_time[:] = 0
    start, end = np.full(jobs, 10), np.full(jobs, 100)
    requests.submit_time[-2:] = 50, 200
    start[-2:], end[-2:] = 300, 400
    run = np.arange(jobs, dtype=float) % 5 + 1.0
    return requests, replace(log_, submit=requests.submit_time, start=start, end=end, run=run, ran=np.ones(jobs, bool))


@pytest.mark.parametrize("seed", range(5))
def test_events_of_one_second_are_taken_in_the_same_order_whatever_the_rows(random_log: RandomLog, seed: int) -> None:
    requests, log_ = together(random_log, 2 * neighbours.KEPT)
    shuffled = np.random.default_rng(seed).permutation(len(log_))
    rows = State().replay(log_, requests)
    again = State().replay(log_.take(shuffled), requests.take(shuffled))
    np.testing.assert_array_equal(again.features, rows.features[shuffled])


def poison(log_: EventLog, now: int, seed: int) -> EventLog:
    """Let everything be otherwise that has not happened by ``now``, but for the submits."""
    random = np.random.default_rng(seed)
    later = shown(log_, log_.end) > now
    waits = shown(log_, np.where(log_.start >= 0, log_.start, log_.end)) > now
    by = random.integers(0, 10**6, len(log_))
    # of those that wait some never start, and some that would not do
    start = np.where(random.random(len(log_)) < 0.3, -1, np.maximum(log_.start, now + 1) + by)
    start = np.where(waits, start, log_.start)
    return replace(
        log_,
        start=start,
        end=np.where(later, np.maximum(log_.end, now + 1) + 2 * by, log_.end),
        ran=np.where(waits, start >= 0, log_.ran),
        run=np.where(later, random.permutation(log_.run + by), log_.run),
        failed=np.where(later, 1.0 - log_.failed, log_.failed),
    )


@settings(max_examples=20, deadline=None)
@given(size_and_seed=LOGS)
def test_what_has_not_ended_at_a_submit_cannot_move_it(random_log: RandomLog, size_and_seed: tuple[int, int]) -> None:
    requests, log_ = random_log(*size_and_seed)
    honest = State().replay(log_, requests)
    for job in {0, len(log_) // 2, len(log_) - 1}:
        row = State().replay(poison(log_, int(log_.submit[job]), size_and_seed[1]), requests)
        np.testing.assert_array_equal(row.features[job], honest.features[job])


@pytest.mark.parametrize("seed", range(5))
def test_how_jobs_will_end_does_not_choose_which_running_ones_are_kept(random_log: RandomLog, seed: int) -> None:
    requests, log_ = together(random_log, 2 * neighbours.RUNNING_KEPT)
    honest = State().replay(log_, requests)
    row = State().replay(poison(log_, 50, seed), requests)
    np.testing.assert_array_equal(row.features[-2], honest.features[-2])


def test_a_job_that_is_over_within_a_second_does_not_run_for_ever() -> None:
    rows = [{"user": "ada", "submit_time": moment} for moment in (0, 0, 50)]
    requests = Requests.from_rows(rows)
    start, end = np.array([0, 0, 60]), np.array([1, 40, 70])
    log_ = EventLog(
        *(requests.submit_time, start, end, (end - start).astype(float), requests.wallclock_req),
        failed=np.zeros(3),
        ran=np.ones(3, bool),
        identity=np.arange(3, dtype=np.uint64),
    )
    running = kernel.FEATURES.index("now_running")
    assert State().replay(log_, requests).features[2, running] == 0.0
    still = replace(log_, end=np.array([1, 55, 70]))
    assert State().replay(still, requests).features[2, running] == 1.0


@pytest.mark.parametrize(("start", "end"), [(10, 90), (10, -1), (-1, 10)])
def test_a_job_waits_from_the_second_after_its_submit_until_it_starts_or_is_withdrawn(start: int, end: int) -> None:
    """Of the rows the first waits; all others ask, and never wait, as the log does not tell what became of them."""
    moments = [5, 0, 5, 6, 9, 10, 11]
    requests = Requests.from_rows([{"user": "ada", "submit_time": moment} for moment in moments])
    untold = np.full(len(moments), -1)
    starts, ends = untold.copy(), untold.copy()
    starts[0], ends[0] = start, end
    log_ = EventLog(
        *(requests.submit_time, starts, ends, np.maximum(ends - starts, 0).astype(float), requests.wallclock_req),
        failed=np.zeros(len(moments)),
        ran=(starts >= 0) & (ends >= 0),
        identity=np.arange(len(moments), dtype=np.uint64),
    )
    jobs = kernel.FEATURES.index("queued_user_jobs")
    seen = State().replay(log_, requests).features[1:, jobs]
    np.testing.assert_array_equal(seen, [nan, nan, 1.0, 1.0, 0.0, 0.0])
