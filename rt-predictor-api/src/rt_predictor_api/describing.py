"""Reflection with a limit: each description is a stream, which holds a thread for as long as its caller likes."""

from __future__ import annotations

from collections.abc import Sequence
from threading import BoundedSemaphore
from typing import Any

import grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

MOST_DESCRIPTIONS = 2
"""Streams of reflection at a time; a tool has one, for a moment."""


def describe(names: Sequence[str], server: grpc.Server) -> None:
    """Describe services to tools."""
    described: Any = _Described((*names, reflection.SERVICE_NAME))
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(described, server)


class _Described:
    """Describes services to few callers at a time."""

    def __init__(self, names: Sequence[str]) -> None:
        self._servicer: Any = reflection.ReflectionServicer(names)
        self._free = BoundedSemaphore(MOST_DESCRIPTIONS)

    def ServerReflectionInfo(self, request_iterator: Any, context: Any) -> Any:  # noqa: N802 - named by the protocol
        """Answer one caller's questions, where no more than so many ask."""
        if not self._free.acquire(blocking=False):
            text = f"{MOST_DESCRIPTIONS} descriptions are open already; try again later"
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, text)
        try:
            yield from self._servicer.ServerReflectionInfo(request_iterator, context)
        finally:
            self._free.release()
