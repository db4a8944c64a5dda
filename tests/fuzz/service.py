"""The real service on a small model, in this process, and its handlers with everything that surrounds them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import grpc
import small_model
import structlog

from rt_predictor_api import settings
from rt_predictor_api.front.front import front_of
from rt_predictor_api.server import Service

STARTED_SECONDS = 600.0
"""How long a start may take: it compiles what no other run has."""


class Aborted(Exception):
    """How a call ends with a status."""

    def __init__(self, status: Any) -> None:
        super().__init__(status)
        self.status = status


class Context:
    """What handlers and interceptors ask of a call."""

    def __init__(self) -> None:
        self._code: grpc.StatusCode | None = None

    def abort_with_status(self, status: Any) -> None:
        self._code = status.code
        raise Aborted(status)

    def code(self) -> grpc.StatusCode | None:
        return self._code

    def is_active(self) -> bool:
        return True

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return ()

    def auth_context(self) -> dict[str, list[bytes]]:
        return {}

    def peer(self) -> str:
        return "ipv4:127.0.0.1:1"

    def time_remaining(self) -> None:
        return None

    def cancel(self) -> bool:
        return False


@contextmanager
def quiet() -> Iterator[None]:
    """Log what nobody foresaw alone: a million refusals are nothing to read. Tests that follow log as before."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    try:
        yield
    finally:
        structlog.configure(**before)


@contextmanager
def running(folder: Path, **changes: Any) -> Iterator[Service]:
    """Run the service on a small model of its own until the block ends."""
    small_model.publish_small(folder / "models")
    chosen = {"models": folder / "models", "history": folder / "history", "port": 0, "metrics_port": 0, **changes}
    with quiet():
        read = settings.read({"drain_seconds": 1.0, **chosen})
        front = front_of(read)
        service, stop, listening = Service(read, front=front), Event(), Event()
        thread = Thread(target=service.run, args=(stop, listening.set))
        thread.start()
        try:
            assert listening.wait(STARTED_SECONDS), "the service does not listen"
            yield service
        finally:
            stop.set()
            thread.join()
            if front:
                front.stop()


def handler_of(service: Service, method: str) -> Any:
    """Return the handler that the transport would use, with all interceptors around it."""
    state = service._grpc._state  # type: ignore[attr-defined]  # gRPC has no public way to call a handler

    def found(details: Any) -> Any:
        return next((one for each in state.generic_handlers if (one := each.service(details))), None)

    return state.interceptor_pipeline.execute(found, grpc._server._HandlerCallDetails(method, ()))


def call(handler: Any, raw: list[bytes]) -> list[bytes]:
    """Return what a handler answers to raw messages, as raw messages; raises Aborted where it refuses."""
    context, parse = Context(), handler.request_deserializer or bytes
    told: Any = map(parse, raw) if handler.request_streaming else parse(raw[0])
    inner = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    answered = inner(told, context)
    answers = answered if handler.response_streaming else [answered]
    return [handler.response_serializer(answer) for answer in answers]
