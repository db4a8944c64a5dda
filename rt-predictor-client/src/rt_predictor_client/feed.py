"""The rows of a stream: on their way to the service, and answered."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice

from rt_predictor_client.errors import ClientError
from rt_predictor_client.requests import Forecast, JobLike, RowError, forecast, job_message, problem_error, row_error
from rt_predictor_formats.errors import Problem
from rtpredictor.v1 import job_pb2, prediction_service_pb2


class Feed:
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
