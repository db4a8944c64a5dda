"""The threads that answer calls, and which calls have waited too long for one to be worth answering.

A queue that stands serves nobody: with more calls than can be answered, each waits for all before it, and those who
asked have given up by the time that they are answered. So a call may wait for long only where the queue was empty a
moment ago, as in a burst; while the queue stands, what has waited for more than a little is refused, and those that are
answered are answered soon: controlled delay, after Maurer, "Fail at Scale", ACM Queue 13(8), 2015, and Nichols,
Jacobson, "Controlling Queue Delay", ACM Queue 10(5), 2012.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock, local
from time import monotonic
from typing import Any, TypeVar

from rt_predictor_formats.errors import Problem

BURST_SECONDS = 0.1
"""How long ago the queue must have been empty for its calls to be a burst, and how long a call of a burst may wait."""

RETRY_SECONDS = 0.1
"""When a refused caller may try again."""

_Made = TypeVar("_Made")


class Admission(ThreadPoolExecutor):
    """Threads that know how long what they run has waited; it may for ``seconds`` while the queue stands."""

    def __init__(self, threads: int, seconds: float, clock: Callable[[], float] = monotonic) -> None:
        super().__init__(threads, thread_name_prefix="call")
        self._most = threads
        self._seconds = seconds
        self._clock = clock
        self._prompt = clock()
        self._own = local()
        self._taken = 0
        self._counting = Lock()

    def submit(self, fn: Callable[..., _Made], /, *args: Any, **kwargs: Any) -> Future[_Made]:
        """Run a call in a thread as soon as one is free."""
        with self._counting:
            # one that finds a thread free and begins late all the same waits for the machine, not for others
            since = self._clock() if self._taken >= self._most else None
            self._taken += 1
        call = super().submit(self._run, since, fn, args, kwargs)
        call.add_done_callback(self._ended)
        return call

    def require_prompt(self) -> None:
        """Do nothing in a call that did not wait for too long.

        Raises
        ------
        Problem
            ``OVERLOADED``.
        """
        if getattr(self._own, "late", False):
            raise Problem(
                "OVERLOADED",
                "more calls come than can be answered",
                remedy=f"try again in {RETRY_SECONDS:g} s; ask for many jobs with PredictBatch",
            )

    def _ended(self, _call: Future[Any]) -> None:
        with self._counting:
            self._taken -= 1

    def _run(self, since: float | None, fn: Callable[..., _Made], args: Any, kwargs: Any) -> _Made:
        now = self._clock()
        waited = 0.0 if since is None else now - since
        if waited <= self._seconds:
            self._prompt = now
        stands = now - self._prompt > BURST_SECONDS
        self._own.late = waited > (self._seconds if stands else BURST_SECONDS)
        return fn(*args, **kwargs)
