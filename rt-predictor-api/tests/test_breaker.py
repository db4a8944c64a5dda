"""When the breaker opens, and that one caller at a time tries whether the store is back."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Barrier, Thread
from typing import Any

import pytest

from rt_predictor_api.breaker import Breaker, Open


def fail(breaker: Breaker, error: Exception) -> None:
    with pytest.raises(type(error)), breaker.calling():
        raise error


def test_it_opens_after_failures_in_a_row_and_only_those_that_count(until: Callable[..., Any]) -> None:
    breaker = Breaker(3, 0.2, OSError)
    for _ in range(5):
        fail(breaker, ValueError())
        fail(breaker, OSError())
        with breaker.calling():
            pass
    assert breaker.is_closed
    for _ in range(3):
        fail(breaker, OSError())
    with pytest.raises(Open), breaker.calling():
        raise AssertionError("the call must not be made")

    def works() -> bool:
        try:
            with breaker.calling():
                return True
        except Open:
            return False

    until(works, "a trial")
    assert breaker.is_closed


def test_one_caller_at_a_time_tries_again(until: Callable[..., Any]) -> None:
    breaker = Breaker(1, 0.05, OSError)
    fail(breaker, OSError())
    made: list[int] = []
    refused: list[int] = []
    together, done = Barrier(9), Barrier(9)

    def call(number: int) -> None:
        together.wait()
        try:
            with breaker.calling():
                made.append(number)
                until(lambda: len(refused) == 7, "the others to be refused")
        except Open:
            refused.append(number)
        done.wait()

    threads = [Thread(target=call, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    until(lambda: together.n_waiting == 8, "all to be ready")
    # the time to try again is over
    time.sleep(0.1)
    together.wait()
    done.wait()
    for thread in threads:
        thread.join()
    assert (len(made), len(refused)) == (1, 7)
    assert breaker.is_closed
