"""Which calls have waited too long for their turn."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from time import monotonic, sleep
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_predictor_api.admission import Admission
from rt_predictor_formats.errors import Problem

SECONDS = 5.0
BURST = 100.0
"""Far more than a test takes: the calls of these go by their clock alone."""


class Clock:
    """Says what it is set to."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def one_at_a_time(clock: Clock) -> Admission:
    return Admission(1, SECONDS, BURST, clock)


def is_refused(admission: Admission) -> bool:
    try:
        with admission.turn():
            return False
    except Problem as problem:
        return problem.code == "OVERLOADED"


def refused(admission: Admission, clock: Clock, until: Any, *waits: float, held: float) -> list[bool]:
    """Hold the only turn for ``held`` seconds and return which of the calls that waited meanwhile are refused."""
    with ThreadPoolExecutor() as threads:
        with admission.turn():
            end = clock.now + held
            calls: list[Future[bool]] = []
            for wait in waits:
                clock.now = end - wait
                calls.append(threads.submit(is_refused, admission))
                until(lambda: len(admission._waiting) == len(calls), "the call to wait")
            clock.now = end
        return [call.result(10) for call in calls]


def test_a_burst_may_wait_but_not_for_ever(one_at_a_time: Admission, clock: Clock, until: Any) -> None:
    assert refused(one_at_a_time, clock, until, 90.0, 50.0, 1.0, held=95.0) == [False, False, False]
    assert refused(one_at_a_time, clock, until, BURST + 10, held=BURST + 20) == [True]


def test_while_the_queue_stands_little_waiting_is_too_much(one_at_a_time: Admission, clock: Clock, until: Any) -> None:
    assert refused(one_at_a_time, clock, until, 40.0, 6.0, held=130.0) == [True, True]


def test_a_call_that_did_not_wait_ends_the_queue(one_at_a_time: Admission, clock: Clock, until: Any) -> None:
    # the second waited for little, so the queue was empty a moment ago
    assert refused(one_at_a_time, clock, until, 40.0, 4.0, 4.0, held=130.0) == [True, False, False]


def test_a_call_that_finds_a_turn_free_is_never_refused(one_at_a_time: Admission, clock: Clock) -> None:
    for _ in range(5):
        clock.now += 1_000.0
        assert not is_refused(one_at_a_time)


def test_a_turn_that_does_not_come_is_refused_before_the_one_before_ends() -> None:
    admission = Admission(1, 0.005, 0.02)
    with admission.turn(), ThreadPoolExecutor() as threads:
        begun = monotonic()
        assert threads.submit(is_refused, admission).result(10)
        assert monotonic() - begun >= 0.02
    assert not is_refused(admission)


@given(most=st.integers(1, 4), calls=st.integers(1, 40), burst=st.sampled_from([1e-4, 1.0]), fails=st.booleans())
def test_no_more_work_at_a_time_and_no_turn_is_lost(most: int, calls: int, burst: float, fails: bool) -> None:  # noqa: FBT001 - a case
    admission, working, seen, counting = Admission(most, burst / 2, burst), 0, 0, Lock()

    def work(number: int) -> float:
        nonlocal working, seen
        try:
            with admission.turn():
                with counting:
                    working += 1
                    seen = max(seen, working)
                sleep(0.0002)
                with counting:
                    working -= 1
                return 1 / (number % 3 if fails else 1)
        except (Problem, ZeroDivisionError):
            return 0.0

    with ThreadPoolExecutor(calls) as threads:
        list(threads.map(work, range(calls)))
    assert 1 <= seen <= most
    assert (admission._working, working) == (0, 0)
