"""The service as a Python object: moves messages, decides nothing."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from types import TracebackType
from typing import Any, Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from rt_predictor_client.errors import ClientError, from_rpc
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
    row_error,
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

TIMEOUT_SECONDS = 10.0
"""Default deadline of a call with one answer [s]."""

STREAM_TIMEOUT_SECONDS = 3600.0
"""Default deadline of a whole stream [s]: eleven million rows at 5000 a second take 37 minutes."""

CHUNK_ROWS = 250
"""Default rows per message of a stream: one row per message is thirteen times slower."""

MESSAGE_BYTES = 256 * 1024 * 1024
"""Greatest answer that is read [bytes]."""

SERVICE_CONFIG = {
    "methodConfig": [
        {
            # these may be sent twice: a forecast changes nothing, and an event counts once
            "name": [
                {"service": "rtpredictor.v1.PredictionService", "method": "Predict"},
                {"service": "rtpredictor.v1.PredictionService", "method": "PredictRemaining"},
                {"service": "rtpredictor.v1.HistoryService", "method": "ReportJobs"},
            ],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.2s",
                "maxBackoff": "2s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}
"""What gRPC does by itself: retries."""


class Client:
    """A connection to the service, opened at the first call; usable from several threads and in ``with``.

    Every method raises a ``ClientError`` for a call that failed and ``Problem`` for values that cannot be sent.
    ``timeout_seconds`` is the deadline of a call, ``stream_timeout_seconds`` that of a whole stream.
    """

    def __init__(
        self,
        address: str,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        stream_timeout_seconds: float = STREAM_TIMEOUT_SECONDS,
    ) -> None:
        self.address = address
        self._timeout = timeout_seconds
        self._stream_timeout = max(timeout_seconds, stream_timeout_seconds)
        options = [
            ("grpc.service_config", json.dumps(SERVICE_CONFIG)),
            ("grpc.enable_retries", 1),
            ("grpc.max_receive_message_length", MESSAGE_BYTES),
        ]
        self._channel = grpc.insecure_channel(address, options=options)
        # the generated stubs are not typed for a synchronous channel alone
        self._prediction: Any = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._history: Any = history_service_pb2_grpc.HistoryServiceStub(self._channel)
        self._model: Any = model_service_pb2_grpc.ModelServiceStub(self._channel)
        self._health: Any = health_pb2_grpc.HealthStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; calls under way end."""
        self._channel.close()

    def predict(self, job: JobLike, risk: float | None = None) -> Forecast:
        """Return the forecast of one job; ``risk`` in [0.01, 0.5] is the service's own if None."""
        request = prediction_service_pb2.PredictRequest(job=job_message(job), risk=risk)
        with self._failures():
            return forecast(self._prediction.Predict(request, timeout=self._timeout).forecast)

    def predict_remaining(self, job: JobLike, elapsed_seconds: float, risk: float | None = None) -> RemainingForecast:
        """Return what is left of a job that has run for ``elapsed_seconds``; ``risk`` as for ``predict``.

        Without a ``submit_time`` the job is taken to have been submitted when it started.
        """
        request = remaining_message(job, elapsed_seconds, risk)
        with self._failures():
            return remaining(self._prediction.PredictRemaining(request, timeout=self._timeout).forecast)

    def predict_many(
        self, jobs: Iterable[JobLike], risk: float | None = None, chunk_rows: int = CHUNK_ROWS
    ) -> Iterator[Forecast | RowError]:
        """Yield the forecast of each job, or what was wrong with it, in order and as the answers come.

        ``jobs`` is read on another thread, a few messages of ``chunk_rows`` jobs ahead; what it raises is raised here.
        """
        if chunk_rows < 1:
            raise ValueError("chunk_rows must be at least 1")
        feed = _Feed(jobs, risk, chunk_rows)
        call = None
        try:
            with self._failures():
                call = self._prediction.PredictStream(iter(feed), timeout=self._stream_timeout)
                for response in call:
                    yield from feed.answers(response)
            yield from feed.rest()
        finally:
            if call is not None:
                call.cancel()

    def predict_arrow(self, jobs: bytes, risk: float | None = None) -> bytes:
        """Return the forecasts of an Arrow IPC stream as another; columns are those of ``PredictBatchResponse``."""
        request = prediction_service_pb2.PredictBatchRequest(arrow_jobs=jobs, risk=risk)
        with self._failures():
            return bytes(self._prediction.PredictBatch(request, timeout=self._stream_timeout).arrow_results)

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
        chunks = (history_service_pb2.ReportJobsRequest(events=messages[i : i + CHUNK_ROWS]) for i in starts)
        timeout = min(self._stream_timeout, self._timeout * len(starts))
        with self._failures():
            return report_result(self._history.ReportJobs(chunks, timeout=timeout))

    def model(self, version: str = "") -> ModelInfo:
        """Return what is known of a model; the one that answers now by default. Raises NotFound."""
        request = model_service_pb2.GetModelRequest(version=version)
        with self._failures():
            return model_info(self._model.GetModel(request, timeout=self._timeout).model)

    def models(self) -> tuple[ModelInfo, ...]:
        """Return all models that the service can answer with, newest first."""
        with self._failures():
            response = self._model.ListModels(model_service_pb2.ListModelsRequest(), timeout=self._timeout)
        return tuple(model_info(model) for model in response.models)

    def health(self) -> str:
        """Return the status of the service by ``grpc.health.v1``: ``SERVING``, ``NOT_SERVING``, ``UNKNOWN``."""
        with self._failures():
            response = self._health.Check(health_pb2.HealthCheckRequest(), timeout=self._timeout)
        return str(health_pb2.HealthCheckResponse.ServingStatus.Name(response.status))

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except grpc.RpcError as error:
            raise from_rpc(error, self.address) from error


class _Feed:
    """Jobs on their way to the service, and those that stay behind because they cannot be sent."""

    def __init__(self, jobs: Iterable[JobLike], risk: float | None, chunk_rows: int) -> None:
        self._jobs = enumerate(jobs)
        self._risk = risk
        self._chunk_rows = chunk_rows
        self._chunks: deque[list[int | RowError]] = deque()  # per chunk and row: its position, or why it was not sent
        self._failure: BaseException | None = None

    def __iter__(self) -> Iterator[prediction_service_pb2.PredictStreamRequest]:
        try:
            while chunk := list(islice(self._jobs, self._chunk_rows)):
                messages = self._convert(chunk)
                if messages:
                    yield prediction_service_pb2.PredictStreamRequest(jobs=messages, risk=self._risk)
        except Exception as failure:  # noqa: BLE001 - gRPC would swallow it on its thread; rest() raises it
            self._failure = failure

    def _convert(self, chunk: list[tuple[int, JobLike]]) -> list[job_pb2.Job]:
        messages: list[job_pb2.Job] = []
        rows: list[int | RowError] = []
        for position, job in chunk:
            try:
                messages.append(job_message(job))
                rows.append(position)
            except Problem as problem:
                rows.append(problem_error(problem, position))
        self._chunks.append(rows)
        return messages

    def answers(self, response: prediction_service_pb2.PredictStreamResponse) -> Iterator[Forecast | RowError]:
        """Yield the results of one answer, with the rows before and between them that were not sent."""
        rows = self._answered()
        sent = [row for row in rows if not isinstance(row, RowError)]
        if len(sent) != len(response.results):
            raise _mismatch(f"{len(response.results)} results for {len(sent)} jobs")
        results = iter(response.results)
        for row in rows:
            if isinstance(row, RowError):
                yield row
                continue
            result = next(results)
            yield row_error(result.error, row) if result.HasField("error") else forecast(result.forecast)

    def _answered(self) -> list[int | RowError]:
        rows: list[int | RowError] = []
        while self._chunks:
            chunk = self._chunks.popleft()
            rows.extend(chunk)
            if any(not isinstance(row, RowError) for row in chunk):
                break
        return rows

    def rest(self) -> Iterator[RowError]:
        """Yield the last rows if none of them could be sent; raises what the jobs' iterable raised."""
        if self._failure is not None:
            raise self._failure
        while self._chunks:
            for row in self._chunks.popleft():
                if not isinstance(row, RowError):
                    raise _mismatch(f"no result from row {row} on")
                yield row


def _mismatch(thing: str) -> ClientError:
    return ClientError("ANSWER_MISMATCH", thing, remedy="bring client and service to one version")
