"""Addresses to listen on: what is wrong with one that cannot be, and one port for several processes."""

from __future__ import annotations

import socket
from typing import Any

from rt_predictor_api.settings import variable
from rt_predictor_formats.errors import Problem


def claim(host: str, port: int) -> socket.socket:
    """Return a socket that holds a port for the processes that will share it; 0 takes a free one, see ``address_of``.

    It does not listen: the system gives connections to the processes that do.

    Raises
    ------
    Problem
        ``PORT_IN_USE`` or ``ADDRESS_UNUSABLE``.
    """
    try:
        family, address = _resolved(host, port)
        try:
            return _claimed(family, address, reuse=False)
        except OSError:
            # the system remembers connections of a service that has ended; who has the port now refuses this too
            return _claimed(family, address, reuse=True)
    except OSError as error:
        raise _problem(error, host, port, "port") from error


def address_of(held: socket.socket) -> tuple[str, int]:
    """Return the address, as a number, and the port that a socket holds."""
    host, port, *_ = held.getsockname()
    return str(host), int(port)


def unusable(host: str, port: int, field: str) -> Problem:
    """Return why an address cannot be listened on; ``field`` is the setting of the port."""
    try:
        family, address = _resolved(host, port)
        with _bindable(family, reuse=True) as probe:
            probe.bind(address)
    except OSError as error:
        return _problem(error, host, port, field)
    return _in_use(f"{host}:{port}", field)


def _claimed(family: int, address: Any, *, reuse: bool) -> socket.socket:
    # alone first: two services on one port would each answer with a history of its own
    with _bindable(family, reuse=reuse) as probe:
        probe.bind(address)
        address = probe.getsockname()
    held = _bindable(family, reuse=reuse)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind(address)
    return held


def _bindable(family: int, *, reuse: bool) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(reuse))
    return made


def _resolved(host: str, port: int) -> tuple[int, Any]:
    ((family, _, _, _, address), *_) = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return family, address


def _problem(error: OSError, host: str, port: int, field: str) -> Problem:
    place = f"{host}:{port}"
    if not isinstance(error, socket.gaierror) and "in use" in str(error.strerror):
        return _in_use(place, field)
    return Problem(
        "ADDRESS_UNUSABLE",
        f"cannot listen ({error.strerror})",
        place=place,
        remedy=f"set {variable('host')} or {variable(field)} to an address of this machine that you may use",
    )


def _in_use(place: str, field: str) -> Problem:
    return Problem(
        "PORT_IN_USE",
        "another process listens on this port",
        place=place,
        remedy=f"stop it, or set {variable(field)} or --{field.replace('_', '-')} to a free port",
    )
