"""Ports for services that tests start."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

PORTS = range(20_000, 32_000)
"""Below those that the system gives to whoever connects, which may take any of its own at any moment."""


def free_port() -> int:
    """Return a port that nobody listens on, and that no test of this run gets again."""
    return next(_free)


def _untaken() -> Iterator[int]:
    """Yield ports of this process's share: those of other workers of a parallel run are other ones."""
    number, workers = (os.environ.get(f"PYTEST_XDIST_WORKER{name}", "") for name in ("", "_COUNT"))
    share = PORTS[int(number.removeprefix("gw") or 0) :: int(workers or 1)]
    # runs beside each other begin at different places
    begin = os.getpid() * 97 % len(share)
    for port in (*share[begin:], *share[:begin]):
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
        yield port


_free = _untaken()
