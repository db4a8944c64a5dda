"""How much one caller may ask per second."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from rt_predictor_api import metrics
from rt_predictor_api.interceptors.calls import OwnCalls, Parse, surround
from rt_predictor_api.interceptors.rows import rows_of
from rt_predictor_api.metrics import Metrics
from rt_predictor_api.security.budgets import Budgets
from rt_predictor_api.security.callers import Callers
from rt_predictor_api.settings import variable
from rt_predictor_api.statuses import DOMAIN, Busy

ROWS_PER_CALL = 50
"""Rows of a message that cost as much as a call: in a batch they are far less work than calls of their own."""


class Rates(OwnCalls):
    """Refuses at once what passes a caller's budget; every message of a stream counts.

    A message costs one, and one more for each ``ROWS_PER_CALL`` rows; what it says beyond ``most_rows``, for which it
    is refused, costs nothing more.
    """

    def __init__(
        self, callers: Callers, budgets: Budgets, counted: Metrics, most_rows: int, package: str = DOMAIN
    ) -> None:
        super().__init__(package)
        self._most_rows = most_rows
        self._callers = callers
        self._budgets = budgets
        self._metrics = counted

    def _surrounded(self, handler: grpc.RpcMethodHandler[Any, Any], method: str) -> grpc.RpcMethodHandler[Any, Any]:
        @contextmanager
        def around(_method: str, context: grpc.ServicerContext) -> Iterator[Parse]:
            identity = self._callers.of(context).identity

            def paid(message: Any) -> Any:
                self._spend(identity, message)
                return message

            yield (lambda requests: map(paid, requests)) if handler.request_streaming else paid

        return surround(handler, method, around)

    def _spend(self, identity: str, message: Any) -> None:
        wait = self._budgets.spend(identity, 1 + min(rows_of(message), self._most_rows) / ROWS_PER_CALL)
        if wait:
            self._metrics.count(metrics.CALLS_REFUSED, "rate_exceeded")
            raise Busy(
                "RATE_EXCEEDED",
                f"more is asked than {variable('rate_per_second')} allows one caller",
                remedy=f"try again in {wait:.3f} s, and send many rows per message",
                retry_seconds=wait,
            )
