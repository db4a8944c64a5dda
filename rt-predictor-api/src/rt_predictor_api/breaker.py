"""A circuit breaker around a remote store: after some failures in a row, calls fail at once instead of waiting.

The only module that uses pybreaker, and by ``calling`` alone: while its circuit is half open it lets every caller
through, so that one at a time is seen to here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from pybreaker import STATE_CLOSED, CircuitBreaker, CircuitBreakerError


class Open(Exception):
    """The circuit is open: the call was not made."""


class Breaker:
    """Counts failures in a row; from ``failures`` on, only one call is tried every ``seconds``. For several threads.

    ``failing`` are the exceptions that count; any other says nothing of the store.
    """

    def __init__(self, failures: int, seconds: float, failing: type[Exception]) -> None:
        self._breaker = CircuitBreaker(
            fail_max=failures,
            reset_timeout=seconds,
            exclude=[lambda error: not isinstance(error, failing)],
            throw_new_error_on_trip=False,
        )
        self._trial = Lock()

    @property
    def is_closed(self) -> bool:
        """Whether calls go through as usual."""
        return bool(self._breaker.current_state == STATE_CLOSED)

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Surround one call. Raises Open where it is not to be made."""
        trial = not self.is_closed
        if trial and not self._trial.acquire(blocking=False):
            raise Open
        try:
            with self._breaker.calling():
                yield
        except CircuitBreakerError as error:
            raise Open from error
        finally:
            if trial:
                self._trial.release()
