"""Surrounding the handlers of the contract's four kinds of call with one piece of behaviour."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import grpc

Parse = Callable[[Any], Any]

Around = Callable[[str, grpc.ServicerContext], AbstractContextManager[Parse | None]]
"""Opened with a method and its context, stays open until the last response was given.

What it may give is put before the handler: it takes the request, or the iterator of requests, and returns it.
"""

OPEN_INFERENCE = "inference"
"""Package of the public protocol that is served beside our own contract, and in the same way."""


def surround(
    handler: grpc.RpcMethodHandler[Any, Any], method: str, around: Around, parse: Parse | None = None
) -> grpc.RpcMethodHandler[Any, Any]:
    """Return a handler that runs ``handler`` inside ``around``.

    With ``parse``, the transport hands over raw bytes and each message is made by ``parse`` inside ``around``, so
    that its errors are seen there.
    """
    inner: Any = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream

    def request_of(raw: Any) -> Any:
        if parse is None:
            return raw
        return map(parse, raw) if handler.request_streaming else parse(raw)

    def single(raw: Any, context: grpc.ServicerContext) -> Any:
        with around(method, context) as before:
            return inner(before(request_of(raw)) if before else request_of(raw), context)

    def several(raw: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        with around(method, context) as before:
            yield from inner(before(request_of(raw)) if before else request_of(raw), context)

    kinds = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }
    make: Any = kinds[handler.request_streaming, handler.response_streaming]
    behaviour = several if handler.response_streaming else single
    deserializer = handler.request_deserializer if parse is None else None
    made: grpc.RpcMethodHandler[Any, Any] = make(
        behaviour, request_deserializer=deserializer, response_serializer=handler.response_serializer
    )
    return made


class OwnCalls(grpc.ServerInterceptor):  # type: ignore[type-arg]  # generic for the type checker only
    """Base of the interceptors: surrounds the methods of this contract and leaves health and reflection alone.

    A surrounded handler is made once per method, because gRPC asks for it at every call.
    """

    def __init__(self, package: str) -> None:
        self._prefix = (f"/{package}.", f"/{OPEN_INFERENCE}.")
        self._made: dict[str, grpc.RpcMethodHandler[Any, Any] | None] = {}

    def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """Return the surrounded handler of the called method, or what gRPC would use."""
        path: str = handler_call_details.method
        if not self._concerns(path):
            return continuation(handler_call_details)
        if path in self._made:
            return self._made[path]
        handler = continuation(handler_call_details)
        if handler is None:
            return None
        self._made[path] = made = self._surrounded(handler, self._method(path))
        return made

    def _concerns(self, path: str) -> bool:
        """Return whether a call is surrounded."""
        return path.startswith(self._prefix)

    def _method(self, path: str) -> str:
        """Return what ``_surrounded`` knows a call by: its name alone."""
        return path.rpartition("/")[2]

    @abstractmethod
    def _surrounded(self, handler: grpc.RpcMethodHandler[Any, Any], method: str) -> grpc.RpcMethodHandler[Any, Any]:
        """Return the handler with what this interceptor does around it."""
