"""One span for each call, as the semantic conventions name it; never with what was asked, or who."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from rt_predictor_api.interceptors.calls import OwnCalls, surround
from rt_predictor_api.interceptors.metrics import code_of
from rt_predictor_api.statuses import DOMAIN

_CARRIED = ("traceparent", "tracestate")
"""Metadata that says which trace a call belongs to (W3C Trace Context)."""

_OURS = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})
"""Statuses that are the service's fault; others are its callers'."""


class Tracing(OwnCalls):
    """Sees the status that the others decided on, and the time that they took."""

    def __init__(self, provider: TracerProvider, package: str = DOMAIN) -> None:
        super().__init__(package)
        self._tracer = provider.get_tracer("rt_predictor_api")
        self._propagator = TraceContextTextMapPropagator()

    def _method(self, path: str) -> str:
        return path.removeprefix("/")

    def _surrounded(self, handler: grpc.RpcMethodHandler[Any, Any], method: str) -> grpc.RpcMethodHandler[Any, Any]:
        return surround(handler, method, self._traced)

    @contextmanager
    def _traced(self, method: str, context: grpc.ServicerContext) -> Iterator[None]:
        carried = {key: value for key, value in context.invocation_metadata() if key in _CARRIED}
        service, _, name = method.partition("/")
        span = self._tracer.start_span(
            method,
            self._propagator.extract(carried),
            SpanKind.SERVER,
            {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name},
        )
        try:
            yield
        finally:
            code = code_of(context)
            # the number, as the conventions have it
            span.set_attribute("rpc.grpc.status_code", grpc.StatusCode[code].value[0])
            if code in _OURS:
                span.set_status(StatusCode.ERROR)
            span.end()
