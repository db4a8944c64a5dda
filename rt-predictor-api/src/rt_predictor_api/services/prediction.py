"""Predict, PredictBatch, PredictStream, PredictRemaining."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np

from rt_predictor_api import arrow, convert, metrics
from rt_predictor_api.asked import Asked, limit_rows
from rt_predictor_api.cache import AnswerCache
from rt_predictor_api.engine import Answer, Engine
from rt_predictor_api.metrics import Metrics
from rt_predictor_api.settings import Settings
from rt_predictor_api.validation import check
from rtpredictor.v1 import prediction_service_pb2 as messages
from rtpredictor.v1.prediction_service_pb2_grpc import PredictionServiceServicer

_ManyAsked: TypeAlias = messages.PredictBatchRequest | messages.PredictStreamRequest
_Risky: TypeAlias = messages.PredictRequest | messages.PredictRemainingRequest | _ManyAsked
_Many = TypeVar("_Many", messages.PredictBatchResponse, messages.PredictStreamResponse)


class _Answered(NamedTuple):
    answer: Answer
    response: messages.PredictResponse


class PredictionService(PredictionServiceServicer):
    """Forecasts jobs. ``clock`` says when a job without a submit time is submitted [s since 1970]."""

    def __init__(self, engine: Engine, settings: Settings, counted: Metrics, clock: Callable[[], float]) -> None:
        self._engine = engine
        self._settings = settings
        self._metrics = counted
        self._clock = clock
        self._answers: AnswerCache[_Answered] = AnswerCache(settings.forecast_cache_entries, counted, engine.epoch)

    def Predict(self, request: messages.PredictRequest, context: Any) -> messages.PredictResponse:  # noqa: N802 - named by the contract
        """Forecast one job."""
        del context
        now = int(self._clock())
        question = (request.SerializeToString(deterministic=True), 0 if request.job.HasField("submit_time") else now)
        if kept := self._answers.find(question):
            self._engine.again(kept.answer)
            return kept.response
        return self._answers.make(question, lambda: self._answered(request, now)).response

    def _answered(self, request: messages.PredictRequest, now: int) -> _Answered:
        check(request)
        asked = convert.asked_one(request.job, now)
        answer = self._engine.explain(asked) if request.explain else self._engine.predict(asked)
        response = messages.PredictResponse()
        convert.forecast(answer, self._risk(request), response.forecast)
        if request.explain:
            convert.explanation(answer, response.forecast.explanation)
        return _Answered(answer, response)

    def PredictBatch(self, request: messages.PredictBatchRequest, context: Any) -> messages.PredictBatchResponse:  # noqa: N802
        """Forecast many jobs in one message, as rows or as Arrow."""
        del context
        return self._filled(messages.PredictBatchResponse(), request, "PredictBatch")

    def PredictStream(  # noqa: N802
        self, request_iterator: Iterator[messages.PredictStreamRequest], context: Any
    ) -> Iterator[messages.PredictStreamResponse]:
        """Forecast the jobs of each message, rows or Arrow, when it arrives; one response per message, in order.

        The next message is taken once gRPC asks for another response: no more is worked on than is read.
        """
        del context
        for request in request_iterator:
            yield self._filled(messages.PredictStreamResponse(), request, "PredictStream")

    def PredictRemaining(  # noqa: N802
        self, request: messages.PredictRemainingRequest, context: Any
    ) -> messages.PredictRemainingResponse:
        """Forecast what is left of a running job."""
        del context
        check(request)
        elapsed = request.elapsed_seconds
        asked = convert.asked_one(request.job, int(self._clock() - elapsed))
        answer = self._engine.remaining(asked, np.array([elapsed]))
        response = messages.PredictRemainingResponse()
        convert.remaining(answer, self._risk(request), response.forecast)
        return response

    def _filled(self, response: _Many, request: _ManyAsked, rpc: str) -> _Many:
        """Return the response with the forecasts of the jobs in it, in the form of the request."""
        check(request)
        risk = self._risk(request)
        if request.arrow_jobs:
            answer = self._answer(rpc, self._asked_arrow(request.arrow_jobs))
            response.arrow_results = convert.arrow_results(answer, risk)
        else:
            answer = self._answer(rpc, self._asked_rows(request))
            convert.results(answer, risk, response.results)
        response.model_version = answer.version
        return response

    def _asked_rows(self, request: _ManyAsked) -> Asked:
        limit_rows("jobs", len(request.jobs), self._settings.max_batch_rows, "max_batch_rows")
        return convert.asked_rows(request.jobs, int(self._clock()))

    def _asked_arrow(self, data: bytes) -> Asked:
        limits = self._settings
        return arrow.read(data, int(self._clock()), limits.max_arrow_rows, limits.max_message_bytes)

    def _answer(self, rpc: str, asked: Asked) -> Answer:
        self._metrics.count(metrics.ROWS_REJECTED, rpc, by=len(asked.errors))
        return self._engine.predict(asked)

    def _risk(self, request: _Risky) -> float:
        return request.risk if request.HasField("risk") else self._settings.default_risk
