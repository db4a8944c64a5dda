"""ReportJobs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rt_predictor_api import convert, metrics
from rt_predictor_api.asked import limit_rows
from rt_predictor_api.engine import Engine
from rt_predictor_api.metrics import Metrics
from rt_predictor_api.settings import Settings
from rt_predictor_api.validation import check
from rtpredictor.v1 import history_service_pb2 as messages
from rtpredictor.v1.history_service_pb2_grpc import HistoryServiceServicer


class HistoryService(HistoryServiceServicer):
    """Takes what happened to jobs."""

    def __init__(self, engine: Engine, settings: Settings, counted: Metrics) -> None:
        self._engine = engine
        self._settings = settings
        self._metrics = counted

    def ReportJobs(  # noqa: N802 - named by the contract
        self, request_iterator: Iterator[messages.ReportJobsRequest], context: Any
    ) -> messages.ReportJobsResponse:
        """Store and learn from the events of each message when it arrives; answer when the caller has told all."""
        del context
        reported = convert.Reported()
        for request in request_iterator:
            check(request)
            limit_rows("events", len(request.events), self._settings.max_batch_rows, "max_batch_rows")
            good = reported.take(request.events)
            reported.learned(self._engine.report(good))
            self._metrics.count(metrics.REPORTS, "rejected", by=len(request.events) - len(good))
        return reported.response
