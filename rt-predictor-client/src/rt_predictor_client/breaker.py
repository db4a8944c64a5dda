"""A circuit breaker around the calls of one client: the only place that knows pybreaker.

pybreaker counts and times; what it lacks is added here. In its half-open state it would let every call through, so
that a service that has just come back is met by all of them: here one call at a time tries.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from threading import Lock

import grpc
from pybreaker import STATE_CLOSED, CircuitBreaker, CircuitBreakerError, CircuitMemoryStorage

from rt_predictor_client.config import BreakerPolicy
from rt_predictor_client.errors import CircuitOpen

COUNTED = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})
"""Statuses that say that the service does not answer; any other is an answer."""


class Breaker:
    """Fails calls at once while the service does not answer; does nothing without a policy.

    Raises CircuitOpen, from ``calling``.
    """

    def __init__(self, policy: BreakerPolicy | None, address: str) -> None:
        self._address = address
        self._trial = Lock()
        self._storage = CircuitMemoryStorage(STATE_CLOSED)
        self._circuit = None if policy is None else _circuit(policy, self._storage)

    @property
    def state(self) -> str:
        """``closed``, ``open``, ``half-open``; ``off`` without a policy."""
        return "off" if self._circuit is None else str(self._circuit.current_state)

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Surround one call; raises CircuitOpen instead of making it while the circuit is open."""
        if self._circuit is None:
            yield
            return
        trial = nullcontext() if self._circuit.current_state == STATE_CLOSED else self._alone()
        try:
            with trial, self._circuit.calling():
                yield
        except CircuitBreakerError:
            raise self._open(self._circuit) from None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._trial.acquire(blocking=False):
            raise CircuitBreakerError
        try:
            yield
        finally:
            self._trial.release()

    def _open(self, circuit: CircuitBreaker) -> CircuitOpen:
        opened = self._storage.opened_at or datetime.now(UTC)
        left = (opened + timedelta(seconds=circuit.reset_timeout) - datetime.now(UTC)).total_seconds()
        when = f"calls are tried again in {left:.1f} s" if left > 0 else "a call tries it now: ask again in a moment"
        return CircuitOpen(
            "CIRCUIT_OPEN",
            "the last calls were not answered",
            place=self._address,
            remedy=when,
            retry_after=max(left, 0.0),
        )


def _circuit(policy: BreakerPolicy, storage: CircuitMemoryStorage) -> CircuitBreaker:
    return CircuitBreaker(
        policy.failures,
        policy.seconds,
        exclude=[_is_answer],
        state_storage=storage,
        throw_new_error_on_trip=False,
    )


def _is_answer(error: BaseException) -> bool:
    """Return whether an exception says nothing against the service."""
    return not (isinstance(error, grpc.RpcError) and error.code() in COUNTED)
