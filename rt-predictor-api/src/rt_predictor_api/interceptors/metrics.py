"""Counts, times and logs every call; never with what was asked."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import grpc
import structlog

from rt_predictor_api import metrics
from rt_predictor_api.interceptors.calls import OwnCalls, surround
from rt_predictor_api.metrics import Metrics
from rt_predictor_api.settings import Level
from rt_predictor_api.statuses import DOMAIN

_LEVELS = logging.getLogger(__name__)


class CallMetrics(OwnCalls):
    """The outermost interceptor: sees the status that the others decided on."""

    def __init__(self, counted: Metrics, level: Level, package: str = DOMAIN) -> None:
        super().__init__(package)
        self._metrics = counted
        self._level = logging.getLevelNamesMapping()[level.upper()]
        self._log = structlog.get_logger()

    def _surrounded(self, handler: grpc.RpcMethodHandler[Any, Any], method: str) -> grpc.RpcMethodHandler[Any, Any]:
        return surround(handler, method, self._counted)

    @contextmanager
    def _counted(self, method: str, context: grpc.ServicerContext) -> Iterator[None]:
        started = perf_counter()
        self._metrics.count(metrics.IN_FLIGHT, method)
        try:
            yield
        finally:
            seconds = perf_counter() - started
            code = code_of(context)
            self._metrics.count(metrics.IN_FLIGHT, method, by=-1)
            self._metrics.count(metrics.REQUESTS, method, code)
            self._metrics.observe(metrics.REQUEST_SECONDS, method, values=[seconds])
            # asked first: to find out by logging costs more than all that is counted
            if _LEVELS.isEnabledFor(self._level):
                self._log.log(self._level, "call", rpc=method, code=code, seconds=round(seconds, 6))


def code_of(context: Any) -> str:
    """Return the name of the call's status as far as the server decides it."""
    code = context.code()
    if code is not None:
        return str(code.name)
    return "OK" if context.is_active() else "CANCELLED"
