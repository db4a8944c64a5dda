"""Lets in who is known and may: every call but those of health and reflection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from rt_predictor_api import metrics
from rt_predictor_api.interceptors.calls import OwnCalls, surround
from rt_predictor_api.interceptors.errors import abort
from rt_predictor_api.metrics import Metrics
from rt_predictor_api.security import scopes
from rt_predictor_api.security.access import Caller
from rt_predictor_api.security.audit import Refusals
from rt_predictor_api.security.callers import Callers, peer
from rt_predictor_api.statuses import DOMAIN, problem_status
from rt_predictor_formats.errors import Problem, shown


class Auth(OwnCalls):
    """Refuses a call before its message is looked at; a stream is judged once, when it begins."""

    def __init__(self, callers: Callers, counted: Metrics, package: str = DOMAIN) -> None:
        super().__init__(package)
        self._callers = callers
        self._metrics = counted
        self._refusals = Refusals()

    def _concerns(self, path: str) -> bool:
        # not by this contract's package: what is served besides it one day is closed too
        return not path.startswith(scopes.OPEN)

    def _method(self, path: str) -> str:
        return path

    def _surrounded(self, handler: grpc.RpcMethodHandler[Any, Any], method: str) -> grpc.RpcMethodHandler[Any, Any]:
        return surround(handler, method, self._allowed)

    @contextmanager
    def _allowed(self, path: str, context: grpc.ServicerContext) -> Iterator[None]:
        who: dict[str, str] = {}
        try:
            caller = self._callers.of(context)
            who["identity"] = caller.identity
            permit(caller, path)
        except Problem as problem:
            self._metrics.count(metrics.CALLS_REFUSED, problem.code.lower())
            self._refusals.record(problem.code, path.rpartition("/")[2], peer(context), **who)
            abort(context, problem_status(problem))
        yield


def permit(caller: Caller, path: str) -> None:
    """Do nothing where the caller may make the call.

    Raises
    ------
    Problem
        ``SCOPE_MISSING`` naming the scope.
    """
    scope = scopes.needed(path)
    if scope not in caller.scopes:
        raise Problem(
            "SCOPE_MISSING",
            f"{shown(caller.identity)} may not do this: it needs the scope {scope}",
            place=path,
            remedy="ask the service's administrator for it",
        )
