"""What a call may cost: the size of its messages, and how many are worked on and how many streams are open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from rt_predictor_api import metrics
from rt_predictor_api.admission import Admission
from rt_predictor_api.interceptors.calls import OwnCalls, surround
from rt_predictor_api.metrics import Metrics
from rt_predictor_api.settings import Settings, variable
from rt_predictor_api.statuses import DOMAIN
from rt_predictor_formats.errors import Problem

TRANSPORT_SLACK = 2
"""The transport takes messages this many times larger than the limit, so that most get an answer that names it."""


class Limits(OwnCalls):
    """Refuses what is too large or too much, before any work is done for it."""

    def __init__(self, settings: Settings, admission: Admission, counted: Metrics, package: str = DOMAIN) -> None:
        super().__init__(package)
        self._admission = admission
        self._metrics = counted
        self._largest = settings.max_message_bytes
        self._most_streams = settings.max_streams
        self._streams = BoundedSemaphore(settings.max_streams)

    def _surrounded(self, handler: grpc.RpcMethodHandler[Any, Any], method: str) -> grpc.RpcMethodHandler[Any, Any]:
        streaming = handler.request_streaming or handler.response_streaming
        around = self._stream if streaming else self._single
        return surround(handler, method, around, self._parser(handler.request_deserializer))

    @contextmanager
    def _single(self, _method: str, context: grpc.ServicerContext) -> Iterator[None]:
        with self._admission.turn():
            if not context.is_active():
                raise Problem("CALL_ENDED", "its caller has given up", remedy="give it more time")
            yield

    @contextmanager
    def _stream(self, _method: str, _context: grpc.ServicerContext) -> Iterator[None]:
        if not self._streams.acquire(blocking=False):
            self._metrics.count(metrics.CALLS_REFUSED, "too_many_streams")
            raise Problem(
                "TOO_MANY_STREAMS",
                f"{self._most_streams} streams are open already",
                remedy=f"try again later, or raise {variable('max_streams')} of the service",
            )
        try:
            yield
        finally:
            self._streams.release()

    def _parser(self, deserialize: Any) -> Callable[[bytes], Any]:
        def parse(raw: bytes) -> Any:
            if len(raw) > self._largest:
                raise Problem(
                    "MESSAGE_TOO_LARGE",
                    f"a message of {len(raw)} bytes is larger than {self._largest}",
                    remedy=f"send fewer rows at once, or raise {variable('max_message_bytes')} of the service",
                )
            try:
                return deserialize(raw)
            except DecodeError as error:
                raise Problem(
                    "MESSAGE_MALFORMED", "the bytes are no such message", remedy="use the stubs of this contract"
                ) from error

        return parse
