"""ReportJobs, ListJobs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rt_predictor_api import convert, listings, metrics
from rt_predictor_api.asked import limit_rows
from rt_predictor_api.engine import Engine
from rt_predictor_api.live import Memory
from rt_predictor_api.metrics import Metrics
from rt_predictor_api.security.privacy import Privacy
from rt_predictor_api.settings import Settings
from rt_predictor_api.stores.jobs import JobIndex
from rt_predictor_api.validation import check
from rtpredictor.v1 import history_service_pb2 as messages
from rtpredictor.v1.history_service_pb2_grpc import HistoryServiceServicer

DEFAULT_PAGE = 100
"""Jobs in an answer where the request names no number."""


class HistoryService(HistoryServiceServicer):
    """Takes what happened to jobs, and tells it.

    Parameters
    ----------
    engine: what learns of it. jobs, memory, privacy: what is told: jobs, what was forecast of them, whose names.
    """

    def __init__(
        self, engine: Engine, settings: Settings, counted: Metrics, jobs: JobIndex, memory: Memory, privacy: Privacy
    ) -> None:
        self._engine = engine
        self._jobs = jobs
        self._memory = memory
        self._privacy = privacy
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

    def ListJobs(self, request: messages.ListJobsRequest, context: Any) -> messages.ListJobsResponse:  # noqa: N802
        """Tell the reported jobs of a user or an account, page by page, as the site tells names."""
        del context
        check(request)
        for kind in ("user", "account"):
            self._privacy.check_asked(kind, getattr(request, kind))
        size, after = request.page_size or DEFAULT_PAGE, listings.place(request)
        found = self._jobs.page(request.user, request.account, size + 1, after)
        page = found[:size]
        response = messages.ListJobsResponse(privacy=listings.MODES[self._privacy.mode])
        listings.records(page, self._memory.told([one.identity for one in page]), response.jobs)
        if len(found) > size:
            response.next_page_token = listings.token(request, page[-1].place)
        return response
