"""The service as a Python object: moves messages, decides nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain, islice
from time import monotonic
from types import TracebackType
from typing import Any, Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from rt_predictor_client.again import again
from rt_predictor_client.breaker import Breaker
from rt_predictor_client.channel import open_channel
from rt_predictor_client.config import DEFAULT_TIMEOUT_SECONDS, BreakerPolicy, Config, Security
from rt_predictor_client.errors import Unreachable, from_rpc
from rt_predictor_client.feed import Answer, ArrowForecasts, Feed, of_arrow, of_jobs
from rt_predictor_client.insight import EvaluationInfo, evaluation_info
from rt_predictor_client.listing import JobPage, JobRecord, job_page
from rt_predictor_client.requests import (
    Forecast,
    JobLike,
    ModelInfo,
    RemainingForecast,
    ReportResult,
    RowError,
    event_message,
    forecast,
    job_message,
    model_info,
    problem_error,
    remaining,
    remaining_message,
    report_result,
)
from rt_predictor_formats.errors import Problem
from rtpredictor.v1 import (
    history_service_pb2,
    history_service_pb2_grpc,
    job_pb2,
    model_service_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2,
    prediction_service_pb2_grpc,
)

STREAM_TIMEOUT_SECONDS = 3600.0
"""Default deadline of a whole stream [s]: eleven million rows at 5000 a second take 37 minutes."""

CHUNK_ROWS = 250
"""Default rows per message of a stream: one row per message is thirteen times slower."""


class Client:
    """The service: connections that open at the first call, usable from several threads and in ``with``.

    ``address`` is ``host:port``, or several of them separated by commas: replicas, which are called in turn. What may
    be sent twice is tried again where a replica does not answer. ``timeout_seconds`` is the deadline of a call,
    ``stream_timeout_seconds`` that of a whole stream. After some calls in a row without an answer calls fail at once,
    by ``breaker``, unless that is None.

    Every method raises a ``ClientError`` for a call that failed and ``Problem`` for values that cannot be sent; so does
    the constructor for an address, a file or a token that cannot be used.
    """

    def __init__(
        self,
        address: str,
        *,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        stream_timeout_seconds: float = STREAM_TIMEOUT_SECONDS,
        security: Security = Security(),  # noqa: B008 - frozen
        breaker: BreakerPolicy | None = BreakerPolicy(),  # noqa: B008 - frozen
    ) -> None:
        self.address = address
        self._timeout = timeout_seconds
        self._stream_timeout = max(timeout_seconds, stream_timeout_seconds)
        self._breaker = Breaker(breaker, address)
        self._metadata = () if security.token is None else (("authorization", f"Bearer {security.token}"),)
        self._channel = open_channel(address, security, repeats=True)
        self._streams = open_channel(address, security, repeats=False)  # see again.py
        # the generated stubs are not typed for a synchronous channel alone
        self._prediction: Any = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._prediction_streams: Any = prediction_service_pb2_grpc.PredictionServiceStub(self._streams)
        self._history: Any = history_service_pb2_grpc.HistoryServiceStub(self._channel)
        self._history_streams: Any = history_service_pb2_grpc.HistoryServiceStub(self._streams)
        self._model: Any = model_service_pb2_grpc.ModelServiceStub(self._channel)
        self._health: Any = health_pb2_grpc.HealthStub(self._channel)

    @classmethod
    def from_config(cls, config: Config, stream_timeout_seconds: float = STREAM_TIMEOUT_SECONDS) -> Self:
        """Return a client of a configuration, as ``load_config`` gives it."""
        return cls(
            config.address,
            timeout_seconds=config.timeout_seconds,
            stream_timeout_seconds=stream_timeout_seconds,
            security=config.security,
            breaker=config.breaker,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; calls under way end."""
        self._channel.close()
        self._streams.close()

    @property
    def breaker_state(self) -> str:
        """State of the circuit breaker: ``closed``, ``open``, ``half-open``; ``off`` if there is none."""
        return self._breaker.state

    def predict(self, job: JobLike, risk: float | None = None, *, explain: bool = False) -> Forecast:
        """Return the forecast of one job; ``risk`` in [0.01, 0.5] is the service's own if None.

        With ``explain`` it says why its median is what it is, which costs as much as a batch of 256 jobs.
        """
        request = prediction_service_pb2.PredictRequest(job=job_message(job), risk=risk, explain=explain)
        return forecast(self._ask(self._prediction.Predict, request).forecast)

    def predict_remaining(self, job: JobLike, elapsed_seconds: float, risk: float | None = None) -> RemainingForecast:
        """Return what is left of a job that has run for ``elapsed_seconds``; ``risk`` as for ``predict``.

        Without a ``submit_time`` the job is taken to have been submitted when it started.
        """
        request = remaining_message(job, elapsed_seconds, risk)
        return remaining(self._ask(self._prediction.PredictRemaining, request).forecast)

    def predict_many(
        self, jobs: Iterable[JobLike], risk: float | None = None, chunk_rows: int = CHUNK_ROWS
    ) -> Iterator[Forecast | RowError]:
        """Yield the forecast of each job, or what was wrong with it, in order and as the answers come.

        ``jobs`` is read on another thread, a few messages of ``chunk_rows`` jobs ahead; what it raises is raised here.
        A stream that breaks off goes on with the first row that was not answered.
        """
        if chunk_rows < 1:
            raise ValueError("chunk_rows must be at least 1")
        yield from self._streamed(Feed(of_jobs(jobs, risk, chunk_rows)))

    def predict_arrow_many(self, payloads: Iterable[bytes], risk: float | None = None) -> Iterator[ArrowForecasts]:
        """Yield the forecasts of each Arrow IPC stream as another, in order and as the answers come.

        What is yielded are bytes, with the ``model_version`` that they are of.

        Each is what ``predict_arrow`` takes and returns, of a thousand rows or more: small ones are slower.
        ``payloads`` is read as the jobs of ``predict_many`` are, and a stream that breaks off goes on as there. One
        that the service refuses ends the whole, after what was answered before.
        """
        return self._streamed(Feed(of_arrow(payloads, risk)))

    def _streamed(self, feed: Feed[Answer]) -> Iterator[Answer]:
        """Yield the answers to all chunks, in as many calls as that takes."""
        end, going = monotonic() + self._stream_timeout, True
        while going:
            before = feed.answered
            try:
                yield from self._stream(feed, max(0.0, end - monotonic()))
                going = False
            except Unreachable as error:
                # what was not answered at all has been tried again
                if type(error) is not Unreachable or feed.answered == before:
                    raise
        yield from feed.rest()

    def _stream(self, feed: Feed[Answer], timeout: float) -> Iterator[Answer]:
        """Yield the answers of one call, from the first chunk that was not answered yet."""
        call: Any = None

        def begin(seconds: float) -> list[Any]:
            nonlocal call
            call = self._prediction_streams.PredictStream(
                feed.requests(seconds), timeout=seconds, metadata=self._metadata
            )
            return list(islice(call, 1))

        try:
            with self._failures():
                with self._breaker.calling():  # the first answer says whether the service is there
                    first = again(begin, timeout)
                for response in chain(first, call):
                    yield from feed.answers(response)
        finally:
            feed.end()
            if call is not None:
                call.cancel()

    def predict_arrow(self, jobs: bytes, risk: float | None = None) -> bytes:
        """Return the forecasts of an Arrow IPC stream as another; columns are those of ``PredictBatchResponse``."""
        request = prediction_service_pb2.PredictBatchRequest(arrow_jobs=jobs, risk=risk)
        return bytes(self._ask(self._prediction.PredictBatch, request, self._stream_timeout).arrow_results)

    def report(self, events: Iterable[Mapping[str, Any]]) -> ReportResult:
        """Report what happened to jobs; returns when the accepted ones are on the service's disk and used.

        Rejected events carry their position in ``events``, those that could not even be sent among them.
        """
        messages: list[job_pb2.JobEvent] = []
        positions: list[int] = []
        unsent: list[RowError] = []
        for position, event in enumerate(events):
            try:
                messages.append(event_message(event))
                positions.append(position)
            except Problem as problem:
                unsent.append(problem_error(problem, position))
        result = self._report(messages) if messages else ReportResult(0, 0, 0, ())
        refused = [RowError(positions[error.position], error.violations) for error in result.rejected]
        return ReportResult(
            accepted=result.accepted,
            duplicates=result.duplicates,
            rejected_total=result.rejected_total + len(unsent),
            rejected=tuple(sorted([*refused, *unsent], key=lambda error: error.position)),
        )

    def _report(self, messages: list[job_pb2.JobEvent]) -> ReportResult:
        starts = range(0, len(messages), CHUNK_ROWS)
        timeout = min(self._stream_timeout, self._timeout * len(starts))

        def send(seconds: float) -> Any:
            chunks = (history_service_pb2.ReportJobsRequest(events=messages[i : i + CHUNK_ROWS]) for i in starts)
            return self._history_streams.ReportJobs(chunks, timeout=seconds, metadata=self._metadata)

        with self._failures(), self._breaker.calling():
            return report_result(again(send, timeout))

    def jobs_page(self, user: str = "", account: str = "", *, size: int = 100, token: str = "") -> JobPage:
        """Return reported jobs of a user and an account, of all where empty, the one submitted last first.

        At most ``size`` of them, up to 1000; ``token`` is ``next_page_token`` of the page before. Raises NotAllowed
        where the site tells nobody's jobs.
        """
        request = history_service_pb2.ListJobsRequest(user=user, account=account, page_size=size, page_token=token)
        return job_page(self._ask(self._history.ListJobs, request))

    def jobs(self, user: str = "", account: str = "") -> Iterator[JobRecord]:
        """Yield reported jobs as ``jobs_page`` tells them, asking for a page whenever one is used up."""
        token = ""
        while True:
            page = self.jobs_page(user, account, token=token)
            yield from page.jobs
            token = page.next_page_token
            if not token:
                return

    def model(self, version: str = "") -> ModelInfo:
        """Return what is known of a model; the one that answers now by default. Raises NotFound."""
        request = model_service_pb2.GetModelRequest(version=version)
        return model_info(self._ask(self._model.GetModel, request).model)

    def models(self) -> tuple[ModelInfo, ...]:
        """Return all models that the service can answer with, newest first."""
        response = self._ask(self._model.ListModels, model_service_pb2.ListModelsRequest())
        return tuple(model_info(model) for model in response.models)

    def evaluation(self, version: str = "") -> EvaluationInfo | None:
        """Return how a model did part by part; the one that answers now by default. Raises NotFound.

        None of a model that was published by a release that did not keep it.
        """
        request = model_service_pb2.GetEvaluationRequest(version=version)
        return evaluation_info(self._ask(self._model.GetEvaluation, request))

    def health(self) -> str:
        """Return the status of the service by ``grpc.health.v1``: ``SERVING``, ``NOT_SERVING``, ``UNKNOWN``."""
        response = self._ask(self._health.Check, health_pb2.HealthCheckRequest())
        return str(health_pb2.HealthCheckResponse.ServingStatus.Name(response.status))

    def _ask(self, method: Any, request: Any, timeout: float | None = None) -> Any:
        with self._failures(), self._breaker.calling():
            return method(request, timeout=timeout or self._timeout, metadata=self._metadata)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except grpc.RpcError as error:
            raise from_rpc(error, self.address) from error
