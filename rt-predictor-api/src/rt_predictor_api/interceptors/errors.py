"""Errors become statuses here and nowhere else, by one table; what nobody foresaw keeps its inside to itself."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from typing import Any, NoReturn
from uuid import uuid4

import grpc
import structlog
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from rt_predictor_api.admission import RETRY_SECONDS
from rt_predictor_api.interceptors.calls import OwnCalls, surround
from rt_predictor_api.validation import InvalidRequest
from rt_predictor_formats.errors import Problem

DOMAIN = "rtpredictor.v1"
"""Domain of the reasons in ``google.rpc.ErrorInfo``."""

FIELD_INVALID = "FIELD_INVALID"
"""Reason where fields break rules; ``google.rpc.BadRequest`` names them."""

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
}
"""Status of each problem that a call can meet; any other is INTERNAL."""

RETRY = {"OVERLOADED": RETRY_SECONDS, "HISTORY_BEHIND": RETRY_SECONDS}
"""After how long to try again [s], told in ``google.rpc.RetryInfo``, where a problem does not tell for itself."""

FOR_THE_ADMINISTRATOR = frozenset(
    {"HISTORY_NOT_WRITABLE", "HISTORY_UNAVAILABLE", "HISTORY_NOT_DURABLE", "HISTORY_CORRUPT"}
)
"""Problems whose place and remedy are no business of a caller: those go to the log."""

SHOWN_VIOLATIONS = 5
"""Violations named in the status message; the details hold all of them."""


class Busy(Problem):
    """A problem that passes by itself: ``google.rpc.RetryInfo`` tells after how many seconds."""

    def __init__(self, code: str, thing: str, *, remedy: str, retry_seconds: float) -> None:
        super().__init__(code, thing, remedy=remedy)
        self.retry_seconds = retry_seconds


class Errors(OwnCalls):
    """Answers every error of a handler with a status and typed details."""

    def __init__(self, package: str = DOMAIN) -> None:
        super().__init__(package)
        self._log = structlog.get_logger()

    def _surrounded(self, handler: grpc.RpcMethodHandler[Any, Any], method: str) -> grpc.RpcMethodHandler[Any, Any]:
        return surround(handler, method, self._answered)

    @contextmanager
    def _answered(self, method: str, context: grpc.ServicerContext) -> Iterator[None]:
        try:
            yield
        except InvalidRequest as invalid:
            abort(context, invalid_status(invalid))
        except Problem as problem:
            if problem.code in FOR_THE_ADMINISTRATOR or problem.code not in STATUS:
                self._log.error("call failed", rpc=method, reason=problem.code, problem=str(problem))
            abort(context, problem_status(problem))
        except grpc.RpcError:
            raise  # the caller has gone: nobody is left to answer
        except Exception as error:  # noqa: BLE001 - logged with where it came from, answered without
            incident = uuid4().hex[:8]
            self._log.error("call failed", rpc=method, reason="INTERNAL", incident=incident, exception=origin(error))
            abort(context, internal_status(incident))


def abort(context: grpc.ServicerContext, status: status_pb2.Status) -> NoReturn:
    """End the call with ``status``; gRPC does so by raising."""
    context.abort_with_status(rpc_status.to_status(status))
    raise AssertionError  # abort_with_status never returns


def invalid_status(invalid: InvalidRequest) -> status_pb2.Status:
    """Return INVALID_ARGUMENT with ``google.rpc.BadRequest`` naming every field."""
    bad = error_details_pb2.BadRequest(
        field_violations=[
            error_details_pb2.BadRequest.FieldViolation(field=violation.field, description=violation.description)
            for violation in invalid.violations
        ]
    )
    named = [f"{violation.field}: {violation.description}" for violation in invalid.violations]
    more = len(named) - SHOWN_VIOLATIONS
    text = "; ".join(named[:SHOWN_VIOLATIONS]) + (f"; and {more} more" if more > 0 else "")
    return _status(code_pb2.INVALID_ARGUMENT, text, FIELD_INVALID, {}, bad)


def problem_status(problem: Problem) -> status_pb2.Status:
    """Return the status of a problem, with its parts in ``google.rpc.ErrorInfo``."""
    code = STATUS.get(problem.code, code_pb2.INTERNAL)
    if problem.code in FOR_THE_ADMINISTRATOR or problem.code not in STATUS:
        text = f"the service cannot do this now; tell its administrator, whose log says why [{problem.code}]"
        return _status(code, text, problem.code, {})
    parts = {"thing": problem.thing, "place": problem.place, "remedy": problem.remedy}
    return _status(code, str(problem), problem.code, parts, *_retry(problem))


def origin(error: BaseException) -> str:
    """Return the traceback of an error of a call, and of what caused it, without their texts: those may hold values."""
    parts: list[str] = []
    link: BaseException | None = error
    while link is not None:
        parts.append("".join(traceback.format_tb(link.__traceback__)) + type(link).__qualname__)
        link = link.__cause__ or link.__context__
    return "\ncaused ".join(reversed(parts))


def internal_status(incident: str) -> status_pb2.Status:
    """Return INTERNAL that names nothing but the entry in the log."""
    text = f"internal error; tell the administrator, whose log describes incident {incident}"
    return _status(code_pb2.INTERNAL, text, "INTERNAL", {"incident": incident})


def _retry(problem: Problem) -> list[Message]:
    seconds = problem.retry_seconds if isinstance(problem, Busy) else RETRY.get(problem.code)
    if seconds is None:
        return []
    told = error_details_pb2.RetryInfo()
    told.retry_delay.FromNanoseconds(ceil(seconds * 1e9))
    return [told]


def _status(code: int, text: str, reason: str, parts: dict[str, str], *details: Message) -> status_pb2.Status:
    info = error_details_pb2.ErrorInfo(domain=DOMAIN, reason=reason, metadata=parts)
    packed = []
    for detail in (*details, info):
        packed.append(Packed())
        packed[-1].Pack(detail)
    return status_pb2.Status(code=code, message=text, details=packed)
