"""gRPC servers that do nothing, one of threads and one of asyncio: ``transports.py threads|asyncio PORT``.

``/echo/Echo`` answers with what it got, ``/echo/Cpu`` with the processor time of the server so far [s]. Each keeps to
one core, as the service does.
"""

from __future__ import annotations

import asyncio
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from rt_predictor_api.affinity import Cores


def _echo(request: bytes, _context: Any) -> bytes:
    return request


def _cpu(_request: bytes, _context: Any) -> bytes:
    return str(time.process_time()).encode()


async def _echo_soon(request: bytes, context: Any) -> bytes:
    return _echo(request, context)


async def _cpu_soon(request: bytes, context: Any) -> bytes:
    return _cpu(request, context)


def _handlers(echo: Any, cpu: Any) -> list[grpc.GenericRpcHandler]:
    methods = {name: grpc.unary_unary_rpc_method_handler(one) for name, one in {"Echo": echo, "Cpu": cpu}.items()}
    return [grpc.method_handlers_generic_handler("echo", methods)]


def threads(port: int) -> None:
    """Serve from a pool of threads."""
    server = grpc.server(ThreadPoolExecutor(16), _handlers(_echo, _cpu))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


async def soon(port: int) -> None:
    """Serve from an event loop."""
    server = grpc.aio.server(handlers=_handlers(_echo_soon, _cpu_soon))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    with Cores(kept=True).keeping():
        if sys.argv[1] == "threads":
            threads(int(sys.argv[2]))
        else:
            asyncio.run(soon(int(sys.argv[2])))
