"""How long a stream may be silent and last, and how many rows it may hold: each stream holds a thread."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Timer
from time import monotonic
from typing import Any

import grpc

from rt_predictor_api.interceptors.calls import OwnCalls, Parse, surround
from rt_predictor_api.interceptors.rows import rows_of
from rt_predictor_api.settings import Settings, variable
from rt_predictor_api.statuses import DOMAIN
from rt_predictor_formats.errors import Problem

SLACK_SECONDS = 1.0
"""How much later than its longest time a stream is cut off that cannot be told why: its caller does not read."""

_END = object()


class Streams(OwnCalls):
    """Ends streams that are silent, too long or too many rows; what they were answered stays answered."""

    def __init__(self, settings: Settings, package: str = DOMAIN) -> None:
        super().__init__(package)
        self._settings = settings
        # gRPC's iterators wait without an end, and the thread that gave up on one needs a moment to be free again
        self._readers = ThreadPoolExecutor(2 * settings.max_streams, thread_name_prefix="stream")

    def _surrounded(self, handler: grpc.RpcMethodHandler[Any, Any], method: str) -> grpc.RpcMethodHandler[Any, Any]:
        return surround(handler, method, self._bounded) if handler.request_streaming else handler

    @contextmanager
    def _bounded(self, _method: str, context: grpc.ServicerContext) -> Iterator[Parse]:
        longest = self._settings.max_stream_seconds
        cut = Timer(longest + SLACK_SECONDS, context.cancel)
        cut.daemon = True
        cut.start()
        try:
            yield lambda requests: self._read(requests, monotonic() + longest)
        finally:
            cut.cancel()

    def _read(self, requests: Iterator[Any], until: float) -> Iterator[Any]:
        rows, most = 0, self._settings.max_stream_rows
        while (message := self._next(requests, until)) is not _END:
            rows += rows_of(message)
            if rows > most:
                raise _passed("STREAM_TOO_MANY_ROWS", f"more than {most} rows", "max_stream_rows")
            yield message

    def _next(self, requests: Iterator[Any], until: float) -> Any:
        idle, left = self._settings.max_idle_seconds, until - monotonic()
        coming: Future[Any] = self._readers.submit(next, requests, _END)
        try:
            return coming.result(max(0.0, min(idle, left)))
        except TimeoutError:
            if idle < left:
                raise _passed("STREAM_IDLE", f"no message for {idle} s", "max_idle_seconds") from None
            longest = self._settings.max_stream_seconds
            raise _passed("STREAM_TOO_LONG", f"open for {longest} s", "max_stream_seconds") from None


def _passed(code: str, thing: str, field: str) -> Problem:
    remedy = f"go on in a new stream: events count once; or raise {variable(field)} of the service"
    return Problem(code, f"the stream is ended: {thing}", remedy=remedy)
