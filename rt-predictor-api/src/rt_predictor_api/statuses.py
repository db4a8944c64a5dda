"""Statuses of gRPC for problems, by one table; without gRPC itself, for what answers before it does."""

from __future__ import annotations

from math import ceil

from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from rt_predictor_api.admission import RETRY_SECONDS
from rt_predictor_formats.errors import Problem

DOMAIN = "rtpredictor.v1"
"""Domain of the reasons in ``google.rpc.ErrorInfo``."""

STATUS = {
    "MESSAGE_MALFORMED": code_pb2.INVALID_ARGUMENT,
    "MESSAGE_TOO_LARGE": code_pb2.RESOURCE_EXHAUSTED,
    "OVERLOADED": code_pb2.RESOURCE_EXHAUSTED,
    "CALL_ENDED": code_pb2.CANCELLED,
    "TOO_MANY_STREAMS": code_pb2.RESOURCE_EXHAUSTED,
    "STREAM_IDLE": code_pb2.RESOURCE_EXHAUSTED,
    "STREAM_TOO_LONG": code_pb2.RESOURCE_EXHAUSTED,
    "STREAM_TOO_MANY_ROWS": code_pb2.RESOURCE_EXHAUSTED,
    "RATE_EXCEEDED": code_pb2.RESOURCE_EXHAUSTED,
    "TOKEN_MISSING": code_pb2.UNAUTHENTICATED,
    "TOKEN_UNKNOWN": code_pb2.UNAUTHENTICATED,
    "SCOPE_MISSING": code_pb2.PERMISSION_DENIED,
    "NAMES_HIDDEN": code_pb2.PERMISSION_DENIED,
    "NO_MODEL": code_pb2.UNAVAILABLE,
    "MODEL_UNKNOWN": code_pb2.NOT_FOUND,
    "HISTORY_BEHIND": code_pb2.UNAVAILABLE,
    "HISTORY_NOT_WRITABLE": code_pb2.UNAVAILABLE,
    "HISTORY_UNAVAILABLE": code_pb2.UNAVAILABLE,
    "HISTORY_NOT_DURABLE": code_pb2.UNAVAILABLE,
    "HISTORY_CORRUPT": code_pb2.DATA_LOSS,
    "NOBODY_ANSWERS": code_pb2.UNAVAILABLE,
}
"""Status of each problem that a call can meet; any other is INTERNAL."""

RETRY = dict.fromkeys(("OVERLOADED", "HISTORY_BEHIND", "NOBODY_ANSWERS"), RETRY_SECONDS)
"""After how long to try again [s], told in ``google.rpc.RetryInfo``, where a problem does not tell for itself."""

FOR_THE_ADMINISTRATOR = frozenset(
    {"HISTORY_NOT_WRITABLE", "HISTORY_UNAVAILABLE", "HISTORY_NOT_DURABLE", "HISTORY_CORRUPT"}
)
"""Problems whose place and remedy are no business of a caller: those go to the log."""


class Busy(Problem):
    """A problem that passes by itself: ``google.rpc.RetryInfo`` tells after how many seconds."""

    def __init__(self, code: str, thing: str, *, remedy: str, retry_seconds: float) -> None:
        super().__init__(code, thing, remedy=remedy)
        self.retry_seconds = retry_seconds


def problem_status(problem: Problem) -> status_pb2.Status:
    """Return the status of a problem, with its parts in ``google.rpc.ErrorInfo``."""
    code = STATUS.get(problem.code, code_pb2.INTERNAL)
    if problem.code in FOR_THE_ADMINISTRATOR or problem.code not in STATUS:
        text = f"the service cannot do this now; tell its administrator, whose log says why [{problem.code}]"
        return status(code, text, problem.code, {})
    parts = {"thing": problem.thing, "place": problem.place, "remedy": problem.remedy}
    return status(code, str(problem), problem.code, parts, *_retry(problem))


def internal_status(incident: str) -> status_pb2.Status:
    """Return INTERNAL that names nothing but the entry in the log."""
    text = f"internal error; tell the administrator, whose log describes incident {incident}"
    return status(code_pb2.INTERNAL, text, "INTERNAL", {"incident": incident})


def _retry(problem: Problem) -> list[Message]:
    seconds = problem.retry_seconds if isinstance(problem, Busy) else RETRY.get(problem.code)
    if seconds is None:
        return []
    told = error_details_pb2.RetryInfo()
    told.retry_delay.FromNanoseconds(ceil(seconds * 1e9))
    return [told]


def status(code: int, text: str, reason: str, parts: dict[str, str], *details: Message) -> status_pb2.Status:
    """Return a status with ``google.rpc.ErrorInfo`` behind its other details."""
    info = error_details_pb2.ErrorInfo(domain=DOMAIN, reason=reason, metadata=parts)
    packed = []
    for detail in (*details, info):
        packed.append(Packed())
        packed[-1].Pack(detail)
    return status_pb2.Status(code=code, message=text, details=packed)
