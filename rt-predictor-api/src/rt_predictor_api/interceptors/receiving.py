"""Waits for the message of each call, and lets no calls whose message never comes take the room of all others.

gRPC begins a call with its headers. A thread waits for the only message of a unary call for as long as its caller
likes, before any interceptor is asked; that of a stream is waited for where it can be bounded. So every call is given
to gRPC as a stream of messages, of which this takes the one.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from threading import Lock
from time import monotonic
from typing import Any

import grpc

from rt_predictor_api import metrics
from rt_predictor_api.interceptors.calls import OwnCalls
from rt_predictor_api.metrics import Metrics
from rt_predictor_api.statuses import DOMAIN

SHARE = 0.5
"""Part of the calls in progress that may be without their message; beyond it the one that waits longest gives way."""

GRACE_SECONDS = 1.0
"""How long a message may take in any case: those of an honest burst come later than the headers of all of it."""


class Receiving(OwnCalls):
    """The outermost interceptor, of every call there is: begins what is within once the message is there.

    Parameters
    ----------
    calls: how many may be in progress.
    counted: where calls that gave way are counted.
    """

    def __init__(
        self, calls: int, counted: Metrics, clock: Callable[[], float] = monotonic, package: str = DOMAIN
    ) -> None:
        super().__init__(package)
        self._most = max(1, int(calls * SHARE))
        self._metrics = counted
        self._clock = clock
        # in the order of their beginning, which is what a dictionary keeps
        self._waiting: dict[grpc.ServicerContext, float] = {}
        self._lock = Lock()

    def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """Make room, also for a call that gRPC is about to refuse: the next one shall find it."""
        self._make_room()
        return super().intercept_service(continuation, handler_call_details)

    def _concerns(self, path: str) -> bool:  # noqa: ARG002 - all of them
        return True

    def _method(self, path: str) -> str:
        return path

    def _surrounded(self, handler: grpc.RpcMethodHandler[Any, Any], method: str) -> grpc.RpcMethodHandler[Any, Any]:
        if handler.request_streaming:
            return handler
        inner: Any = handler.unary_stream or handler.unary_unary
        parse = handler.request_deserializer

        def received(requests: Any, context: grpc.ServicerContext) -> Any:
            raw = self._next(requests, context)
            if raw is None:
                context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{method} requires exactly one request message")
            return inner(_parsed(parse, raw, context) if parse else raw, context)

        make: Any = (
            grpc.stream_stream_rpc_method_handler
            if handler.response_streaming
            else grpc.stream_unary_rpc_method_handler
        )
        made: grpc.RpcMethodHandler[Any, Any] = make(received, response_serializer=handler.response_serializer)
        return made

    def _next(self, requests: Any, context: grpc.ServicerContext) -> bytes | None:
        """Return the message, or None where its caller ends the call without one."""
        with self._lock:
            self._waiting[context] = self._clock()
        try:
            raw: bytes | None = next(requests, None)
            return raw
        finally:
            with self._lock:
                self._waiting.pop(context, None)

    def _make_room(self) -> None:
        if len(self._waiting) <= self._most:
            return
        with self._lock:
            late = self._clock() - GRACE_SECONDS
            excess = list(islice(self._waiting.items(), max(0, len(self._waiting) - self._most)))
            given_way: list[Any] = [context for context, since in excess if since < late]
            for context in given_way:
                del self._waiting[context]
        for context in given_way:
            self._metrics.count(metrics.CALLS_REFUSED, "message_late")
            context.cancel()


def _parsed(parse: Callable[[bytes], Any], raw: bytes, context: grpc.ServicerContext) -> Any:
    try:
        return parse(raw)
    except Exception:  # noqa: BLE001 - whatever a parser of another contract raises
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the bytes are no such message")
