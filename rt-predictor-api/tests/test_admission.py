"""Which calls are refused for having waited."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest

from rt_predictor_api.admission import BURST_SECONDS, Admission
from rt_predictor_formats.errors import Problem

SECONDS = 0.005


class Clock:
    """Says what it is set to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def one_thread(clock: Clock) -> Iterator[Admission]:
    with Admission(1, SECONDS, clock) as pool:
        yield pool


def is_refused(pool: Admission) -> bool:
    try:
        pool.require_prompt()
    except Problem as problem:
        return problem.code == "OVERLOADED"
    return False


def refused(pool: Admission, clock: Clock, *waits: float, held: float) -> list[bool]:
    """Hold the only thread for ``held`` seconds and return which of the calls that waited meanwhile are refused."""
    go_on, begun = Event(), Event()
    first = pool.submit(lambda: (begun.set(), go_on.wait(10)))
    assert begun.wait(10)
    end = clock.now + held
    calls = []
    for wait in waits:
        clock.now = end - wait
        calls.append(pool.submit(is_refused, pool))
    clock.now = end
    go_on.set()
    first.result(10)
    return [call.result(10) for call in calls]


def test_a_burst_may_wait_but_not_for_ever(one_thread: Admission, clock: Clock) -> None:
    assert refused(one_thread, clock, 0.09, 0.05, 0.001, held=0.095) == [False, False, False]
    assert refused(one_thread, clock, BURST_SECONDS + 0.01, held=0.095) == [True]


def test_while_the_queue_stands_little_waiting_is_too_much(one_thread: Admission, clock: Clock) -> None:
    assert refused(one_thread, clock, 0.04, 0.006, held=0.13) == [True, True]


def test_a_call_that_did_not_wait_ends_the_queue(one_thread: Admission, clock: Clock) -> None:
    assert refused(one_thread, clock, 0.04, 0.004, 0.04, held=0.13) == [True, False, False]


def test_a_call_that_finds_a_thread_free_is_never_refused(clock: Clock) -> None:
    class Slow(Admission):
        """Threads that the machine lets begin late."""

        def _run(self, *args: Any) -> Any:
            clock.now += 10.0
            return super()._run(*args)

    with Slow(1, SECONDS, clock) as pool:
        assert not any(pool.submit(is_refused, pool).result(10) for _ in range(5))


def test_the_thread_forgets_what_the_last_call_waited(one_thread: Admission, clock: Clock) -> None:
    assert refused(one_thread, clock, 1.0, 0.0, held=1.5) == [True, False]
    assert not one_thread.submit(is_refused, one_thread).result(10)


def test_outside_of_its_threads_nothing_is_refused(one_thread: Admission) -> None:
    one_thread.require_prompt()
