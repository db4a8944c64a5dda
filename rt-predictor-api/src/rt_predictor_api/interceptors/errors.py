"""Errors become statuses here and nowhere else, by one table; what nobody foresaw keeps its inside to itself."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn
from uuid import uuid4

import grpc
import structlog
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from rt_predictor_api.interceptors.calls import OwnCalls, surround
from rt_predictor_api.statuses import DOMAIN, FOR_THE_ADMINISTRATOR, STATUS, internal_status, problem_status, status
from rt_predictor_api.validation import InvalidRequest
from rt_predictor_formats.errors import Problem

FIELD_INVALID = "FIELD_INVALID"
"""Reason where fields break rules; ``google.rpc.BadRequest`` names them."""

SHOWN_VIOLATIONS = 5
"""Violations named in the status message; the details hold all of them."""


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
    return status(code_pb2.INVALID_ARGUMENT, text, FIELD_INVALID, {}, bad)


def origin(error: BaseException) -> str:
    """Return the traceback of an error of a call, and of what caused it, without their texts: those may hold values."""
    parts: list[str] = []
    link: BaseException | None = error
    while link is not None:
        parts.append("".join(traceback.format_tb(link.__traceback__)) + type(link).__qualname__)
        link = link.__cause__ or link.__context__
    return "\ncaused ".join(reversed(parts))
