"""Whether the service that runs here with the same settings is ready, for the health check of a container.

It asks the metrics, not the gRPC service: they want no certificate and no token, whatever the service wants.
"""

from __future__ import annotations

import socket
import ssl
from http.client import HTTPConnection, HTTPException, HTTPSConnection

from rt_predictor_api.settings import Settings
from rt_predictor_formats.errors import Problem

READY = "rtpredictor_ready"
"""Name of the metric, for itself: the table of all takes ten times as long to import as to ask for it."""

SECONDS = 3.0
"""Longest wait for each of the two ports [s]."""

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where to connect to what listens everywhere


def check(settings: Settings) -> None:
    """Do nothing where a model is loaded and calls are taken; raises Problem ``NOT_READY``."""
    where = f"{_reached(settings.host)}:{settings.port}"
    try:
        with socket.create_connection((_reached(settings.host), settings.port), SECONDS):
            pass
        where = f"{_reached(settings.metrics_host or settings.host)}:{settings.metrics_port}"
        told = _metrics(settings)
    except (OSError, HTTPException) as error:
        raise _not_ready(str(error) or type(error).__name__, where) from None
    if f"{READY} 1.0" not in told.splitlines():
        raise _not_ready("no model is loaded, or the service is ending", where)


def _metrics(settings: Settings) -> str:
    host = _reached(settings.metrics_host or settings.host)
    if settings.tls_cert:
        # the certificate is for the name that callers use, and may be of an authority that nobody here knows
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection: HTTPConnection = HTTPSConnection(host, settings.metrics_port, timeout=SECONDS, context=context)
    else:
        connection = HTTPConnection(host, settings.metrics_port, timeout=SECONDS)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def _reached(host: str) -> str:
    return _EVERYWHERE.get(host, host)


def _not_ready(thing: str, where: str) -> Problem:
    return Problem("NOT_READY", thing, place=where, remedy="see the service's log")
