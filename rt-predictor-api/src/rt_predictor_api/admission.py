"""How many calls are worked on at a time, and which have waited too long for one to be worth answering.

A queue that stands serves nobody: with more calls than can be answered, each waits for all before it, and those who
asked have given up by the time that they are answered. So a call may wait for long only where the queue was empty a
moment ago, as in a burst; while the queue stands, what has waited for more than a little is refused, and those that are
answered are answered soon: controlled delay, after Maurer, "Fail at Scale", ACM Queue 13(8), 2015, and Nichols,
Jacobson, "Controlling Queue Delay", ACM Queue 10(5), 2012.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from threading import Lock
from time import monotonic

from rt_predictor_formats.errors import Problem

BURST_SECONDS = 0.1
"""How long ago the queue must have been empty for its calls to be a burst, and how long a call of a burst may wait."""

RETRY_SECONDS = 0.1
"""When a refused caller may try again."""


class Admission:
    """Lets calls work in the order they came.

    Parameters
    ----------
    most: how many work at a time.
    seconds: how long one may wait while the queue stands.
    burst: how long one may wait otherwise.
    on_refused: called for each that waited for too long.
    """

    def __init__(
        self,
        most: int,
        seconds: float,
        burst: float = BURST_SECONDS,
        clock: Callable[[], float] = monotonic,
        on_refused: Callable[[], object] = lambda: None,
    ) -> None:
        self._most = most
        self._seconds = seconds
        self._burst = burst
        self._clock = clock
        self._on_refused = on_refused
        self._prompt = clock()
        self._working = 0
        self._waiting: deque[tuple[float, Future[bool]]] = deque()
        self._lock = Lock()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Work while the block lasts, once it is this call's turn.

        Raises
        ------
        Problem
            ``OVERLOADED`` where that would be too late.
        """
        turn = self._asked()
        if turn is not None and not self._comes(turn):
            self._on_refused()
            raise overloaded()
        try:
            yield
        finally:
            self._pass_on()

    def _asked(self) -> Future[bool] | None:
        """Return what will tell whether the turn has come; None if it is now."""
        with self._lock:
            now = self._clock()
            if self._working < self._most:
                self._working += 1
                self._prompt = now
                return None
            turn: Future[bool] = Future()
            self._waiting.append((now, turn))
            return turn

    def _comes(self, turn: Future[bool]) -> bool:
        try:
            return turn.result(self._burst)
        except TimeoutError:
            # whoever gives the turn in this very moment has it taken
            return not turn.cancel() and turn.result()

    def _pass_on(self) -> None:
        """Give the turn to the first that has not waited for too long."""
        with self._lock:
            now = self._clock()
            while self._waiting:
                since, turn = self._waiting.popleft()
                if not turn.set_running_or_notify_cancel():
                    continue
                in_time = self._in_time(now - since, now)
                turn.set_result(in_time)
                if in_time:
                    return
            self._working -= 1

    def _in_time(self, waited: float, now: float) -> bool:
        if waited <= self._seconds:
            self._prompt = now
        stands = now - self._prompt > self._burst
        return waited <= (self._seconds if stands else self._burst)


def overloaded() -> Problem:
    """Return why a call is refused that would be answered too late."""
    return Problem(
        "OVERLOADED",
        "more calls come than can be answered",
        remedy=f"try again in {RETRY_SECONDS:g} s; ask for many jobs with PredictBatch",
    )
