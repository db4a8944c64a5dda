"""Reflection with a limit: each description is a stream, which holds a thread for as long as its caller likes."""

from __future__ import annotations

from collections.abc import Sequence
from threading import BoundedSemaphore
from typing import Any

import grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from rt_predictor_api.settings import Settings, variable

MOST_DESCRIPTIONS = 2
"""Streams of reflection at a time; a tool has one, for a moment."""


def describe(names: Sequence[str], server: grpc.Server, settings: Settings) -> None:
    """Describe services to tools, in threads that the streams of the contract leave to calls, but for one."""
    spare = settings.worker_threads - settings.max_streams - 1
    described: Any = _Described((*names, reflection.SERVICE_NAME), min(MOST_DESCRIPTIONS, max(spare, 0)))
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(described, server)


class _Described:
    """Describes services to so many callers at a time."""

    def __init__(self, names: Sequence[str], most: int) -> None:
        self._servicer: Any = reflection.ReflectionServicer(names)
        self._most = most
        self._free = BoundedSemaphore(most)

    def ServerReflectionInfo(self, request_iterator: Any, context: Any) -> Any:  # noqa: N802 - named by the protocol
        """Answer one caller's questions, where no more than so many ask."""
        if not self._free.acquire(blocking=False):
            text = f"{self._most} descriptions are open already; try again later, or raise {variable('worker_threads')}"
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, text)
        try:
            yield from self._servicer.ServerReflectionInfo(request_iterator, context)
        finally:
            self._free.release()
