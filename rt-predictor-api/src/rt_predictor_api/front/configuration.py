"""What nginx is told: whom it serves, how few calls it lets in while too many come, and what it answers itself."""

from __future__ import annotations

import os
import pwd
import resource
import string
from base64 import b64encode
from pathlib import Path
from urllib.parse import quote

from rt_predictor_api.admission import RETRY_SECONDS, overloaded
from rt_predictor_api.front import FORWARDED
from rt_predictor_api.front.crowd import TOLD
from rt_predictor_api.front.folder import Folder
from rt_predictor_api.settings import Settings
from rt_predictor_api.statuses import problem_status
from rt_predictor_formats.errors import Problem

FEW = 4
"""Calls in progress per worker while too many come: it computes for one, the others are on their way."""

COUNTED = tuple(f"/rtpredictor.v1.PredictionService/{method}" for method in ("Predict", "PredictRemaining"))
"""Calls that ask about one job."""

MOST_CONNECTIONS = 4_096
"""Connections of clients and to workers; where the system allows fewer files, fewer."""

_TEMPLATE = Path(__file__).with_name("nginx.conf")


def write(folder: Folder, settings: Settings, address: tuple[str, int]) -> None:
    """Write the configuration; ``address`` is where clients connect to, a number and a port."""
    host, port = address
    # streams end before, by the workers
    longest = max(settings.max_stream_seconds, settings.max_idle_seconds) + 60
    workers = [f'    server "unix:{path}" fail_timeout=1s;' for path in folder.workers]
    told = string.Template(_TEMPLATE.read_text("utf-8")).substitute(
        user=f"user {pwd.getpwuid(0).pw_name};" if os.geteuid() == 0 else "",
        connections=_connections(),
        renewed=f"{settings.max_connection_seconds or 365 * 86_400:.0f}s",
        longest=f"{longest:.0f}s",
        workers="\n".join(workers),
        address=f"[{host}]:{port} ipv6only={'off' if host == '::' else 'on'}" if ":" in host else f"{host}:{port}",
        transport=_transport(settings),
        forwarded=FORWARDED,
        share=100 // TOLD,
        counted="\n".join(_counted(path, folder, settings) for path in COUNTED),
        refused=folder.refused,
        overloaded=reply(overloaded()),
        nobody=reply(nobody()),
    )
    folder.configuration.write_text(told, "utf-8")


def nobody() -> Problem:
    """Return why a call is refused that no worker takes, or whose worker has died."""
    remedy = f"try again in {RETRY_SECONDS:g} s"
    return Problem("NOBODY_ANSWERS", "the worker that had the call has ended, or none has begun", remedy=remedy)


def reply(problem: Problem) -> str:
    """Return the directives that answer a call with a problem; gRPC reads the headers of an empty message.

    The format: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, Trailers-Only.
    """
    status = problem_status(problem)
    headers = {
        "grpc-status": str(status.code),
        "grpc-message": quote(status.message, safe=" ,.:=/[]'()"),
        "grpc-status-details-bin": b64encode(status.SerializeToString()).decode("ascii"),
    }
    lines = [f'add_header {name} "{value}";' for name, value in headers.items()]
    return "\n".join(f"      {line}" for line in ("default_type application/grpc;", *lines, 'return 200 "";'))


def _counted(path: str, folder: Folder, settings: Settings) -> str:
    """Return the location of calls that are counted; always at most the one number, while the file is there the other.

    A call that sends no message, or leaves no room for the answer, gives its place back after a second.
    """
    most = settings.max_active_calls + settings.max_pending_calls
    return f"""    location = {path} {{
      client_body_timeout 1s;
      send_timeout 1s;
      set $crowded "";
      if (-f "{folder.crowded}") {{ set $crowded yes; }}
      limit_conn crowded {FEW * settings.workers};
      limit_conn all {most * settings.workers};
      grpc_pass grpc://workers;
    }}"""


def _transport(settings: Settings) -> str:
    if settings.tls_cert is None:
        return "http2;"
    # links stay links: a new certificate is often a link that leads elsewhere
    return (
        f'ssl http2;\n    ssl_certificate "{settings.tls_cert.absolute()}";\n'
        f'    ssl_certificate_key "{settings.tls_key and settings.tls_key.absolute()}";\n'
        "    ssl_protocols TLSv1.2 TLSv1.3;"
    )


def _connections() -> int:
    """Return how many connections the limit of open files leaves room for."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS if hard == resource.RLIM_INFINITY else max(64, min(MOST_CONNECTIONS, hard - 64))
