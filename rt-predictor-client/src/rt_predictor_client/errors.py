"""What can go wrong with a call, and the exit status of each.

::

    Problem                     one shape everywhere: code, thing, place, remedy
    └── ClientError             exit 1; the service failed, or answered with a status not listed here
        ├── Unreachable         exit 3; UNAVAILABLE, CANCELLED: no connection, or the service is not ready
        │   ├── TimedOut        exit 3; DEADLINE_EXCEEDED: no answer in time
        │   └── CircuitOpen     exit 3; not called, because the last calls were not answered
        ├── Rejected            exit 4; INVALID_ARGUMENT, OUT_OF_RANGE, FAILED_PRECONDITION, ALREADY_EXISTS
        │   ├── NotFound        exit 4; NOT_FOUND: no such model
        │   ├── NotAllowed      exit 4; UNAUTHENTICATED, PERMISSION_DENIED
        │   └── TooMuch         exit 4; RESOURCE_EXHAUSTED: a message or a rate above the service's limit
        └── Outdated            exit 1; UNIMPLEMENTED: client and service are of different versions
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

from rt_predictor_formats.errors import Problem

if TYPE_CHECKING:
    import grpc


class Exit(IntEnum):
    """Exit statuses of ``rtp``; ``EXIT_MEANINGS`` says what they mean."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    UNREACHABLE = 3
    REJECTED = 4
    DEGRADED = 5
    PARTIAL = 6


EXIT_MEANINGS: Mapping[Exit, str] = {
    Exit.OK: "done",
    Exit.UNEXPECTED: "the service failed, or something that should not happen",
    Exit.USAGE: "wrong usage: unknown command, option or value",
    Exit.UNREACHABLE: "the service cannot be reached, does not serve or did not answer in time",
    Exit.REJECTED: "not accepted: the input, the caller, or how much was asked",
    Exit.DEGRADED: "the forecast is degraded, under --strict",
    Exit.PARTIAL: "some rows or events were not accepted",
}
"""The one table of exit statuses; ``rtp --help`` and the reference of commands show it."""


class ClientError(Problem):
    """A call failed.

    Attributes
    ----------
    fields: what is wrong with which field, from ``google.rpc.BadRequest``; empty if the service named none.
    retry_after: when the service wants to be asked again [s], from ``google.rpc.RetryInfo``; None if it did not say.
    """

    exit_status = Exit.UNEXPECTED

    def __init__(
        self,
        code: str,
        thing: str,
        *,
        place: str = "",
        remedy: str,
        fields: tuple[tuple[str, str], ...] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(code, thing, place=place, remedy=remedy)
        self.fields = fields
        self.retry_after = retry_after


class Unreachable(ClientError):
    """No connection, or the service is not ready."""

    exit_status = Exit.UNREACHABLE


class TimedOut(Unreachable):
    """The service did not answer in time."""


class CircuitOpen(Unreachable):
    """The call was not made, because the last ones were not answered; ``retry_after`` says when one will be."""


class Rejected(ClientError):
    """The service does not accept the input; ``fields`` says why."""

    exit_status = Exit.REJECTED


class NotFound(Rejected):
    """The service has no such model."""


class NotAllowed(Rejected):
    """The caller may not ask this."""


class TooMuch(Rejected):
    """The message or the rate is above a limit of the service."""


class Outdated(ClientError):
    """The service does not know the call."""


@dataclass(frozen=True)
class _Rule:
    kind: type[ClientError]
    code: str
    thing: str
    remedy: str


_START = "start rt-predictor-api there, or give --address HOST:PORT or RT_PREDICTOR_ADDRESS; --tls if it wants TLS"
_CORRECT = "correct the request"
_LOG = "look into the service's log"
_AGAIN = "ask again"
_TOKEN = "give a valid token in RT_PREDICTOR_TOKEN or with --token-file FILE"  # noqa: S105 - no token
_RIGHTS = "ask the service's administrator for the right"
_RULES: Mapping[str, _Rule] = {
    "UNAVAILABLE": _Rule(Unreachable, "UNREACHABLE", "no service answers", _START),
    "DEADLINE_EXCEEDED": _Rule(TimedOut, "TIMED_OUT", "no answer in time", "give more time with --timeout SECONDS"),
    "INVALID_ARGUMENT": _Rule(Rejected, "REJECTED", "the request breaks a rule", _CORRECT),
    "OUT_OF_RANGE": _Rule(Rejected, "REJECTED", "a value is out of range", _CORRECT),
    "FAILED_PRECONDITION": _Rule(Rejected, "REJECTED", "the service cannot do this now", _CORRECT),
    "ALREADY_EXISTS": _Rule(Rejected, "REJECTED", "it exists already", _CORRECT),
    "NOT_FOUND": _Rule(NotFound, "NOT_FOUND", "no such model", "see rtp model --list"),
    "UNAUTHENTICATED": _Rule(NotAllowed, "NOT_KNOWN", "the service does not know you", _TOKEN),
    "PERMISSION_DENIED": _Rule(NotAllowed, "NOT_ALLOWED", "you may not ask this", _RIGHTS),
    "RESOURCE_EXHAUSTED": _Rule(TooMuch, "TOO_MUCH", "above a limit of the service", "send less at a time"),
    "UNIMPLEMENTED": _Rule(Outdated, "OUTDATED", "the service lacks this call", "bring both to one version"),
    "CANCELLED": _Rule(Unreachable, "CANCELLED", "the service ended the call before it was answered", _AGAIN),
    "ABORTED": _Rule(ClientError, "SERVICE_FAILED", "the service gave the call up", _AGAIN),
    "INTERNAL": _Rule(ClientError, "SERVICE_FAILED", "the service failed", _LOG),
    "DATA_LOSS": _Rule(ClientError, "SERVICE_FAILED", "the service has lost data", _LOG),
    "UNKNOWN": _Rule(ClientError, "SERVICE_FAILED", "the service failed", _LOG),
}
_CONNECTIONS: Mapping[str, _Rule] = {
    "CERTIFICATE_VERIFY_FAILED": _Rule(
        Unreachable,
        "TLS_FAILED",
        "the service's certificate is not trusted",
        "give the certificate of the authority that signed it with --ca-file FILE",
    ),
    "Hostname Verification": _Rule(
        Unreachable,
        "TLS_FAILED",
        "the service's certificate is for another name",
        "use the name it is for as address, or give it with --server-name NAME",
    ),
    "backend unhealthy": _Rule(
        Unreachable,
        "NOT_SERVING",
        "no replica serves",
        "wait until one has a model; rtp --address HOST:PORT health tells it of each",
    ),
    "handshake": _Rule(
        Unreachable,
        "TLS_FAILED",
        "no secure connection could be made",
        "does the service speak TLS there, and does it accept your --cert-file?",
    ),
}
"""UNAVAILABLE by what gRPC says of a connection that could not be used; the first that fits."""


@dataclass
class _Details:
    fields: tuple[tuple[str, str], ...] = ()
    reason: str = ""
    parts: dict[str, str] = field(default_factory=dict)
    retry_after: float | None = None


def from_rpc(error: grpc.RpcError, address: str) -> ClientError:
    """Return the exception of a failed call.

    Thing, place and remedy are the service's own (``google.rpc.BadRequest``, ``ErrorInfo``, ``RetryInfo``) where it
    gives them; ``address`` is the place otherwise.
    """
    status = error.code().name if hasattr(error, "code") else ""
    text = (error.details() or "") if hasattr(error, "details") else ""
    rule = _rule(status, text)
    details = _details(error)
    own = "; ".join(f"{name}: {description}" for name, description in details.fields)
    # gRPC's words about a lost connection are its own inner matters: ours say more
    text = text.removesuffix(f" [{details.reason}]")
    spoken = text if rule.kind not in {Unreachable, TimedOut} or details.reason else ""
    remedy = details.parts.get("remedy") or rule.remedy
    if details.retry_after is not None:
        remedy = f"{remedy}, or try again in {details.retry_after:g} s"
    return rule.kind(
        details.parts.get("code") or details.reason or rule.code,
        details.parts.get("thing") or own or spoken or rule.thing,
        place=details.parts.get("place") or ("" if details.fields else address),
        remedy=remedy,
        fields=details.fields,
        retry_after=details.retry_after,
    )


def _rule(status: str, text: str) -> _Rule:
    if status == "UNAVAILABLE":
        for words, rule in _CONNECTIONS.items():
            if words in text:
                return rule
    return _RULES.get(status, _RULES["UNKNOWN"])


def exit_status(problem: Problem) -> Exit:
    """Return the exit status of a problem; one that no call raised is about the input."""
    return problem.exit_status if isinstance(problem, ClientError) else Exit.REJECTED


def _details(error: grpc.RpcError) -> _Details:
    """Return what the service attached to its status; nothing if that cannot be read."""
    from google.rpc import error_details_pb2
    from grpc_status import rpc_status

    found = _Details()
    try:
        status = rpc_status.from_call(error)  # type: ignore[arg-type]  # errors of calls are calls
    except (AttributeError, ValueError):  # no status from the wire, or details that contradict it
        return found
    for packed in status.details if status else ():
        bad, info, retry = error_details_pb2.BadRequest(), error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
        if packed.Unpack(bad):
            found.fields = tuple((v.field, v.description) for v in bad.field_violations)
        elif packed.Unpack(info):
            found.reason, found.parts = info.reason, dict(info.metadata)
        elif packed.Unpack(retry):
            found.retry_after = retry.retry_delay.ToTimedelta().total_seconds()
    return found
