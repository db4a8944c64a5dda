"""The rows of a stream: on their way to the service, and answered; a stream that breaks off goes on in another call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from threading import Lock

from rt_predictor_client.errors import ClientError
from rt_predictor_client.requests import Forecast, JobLike, RowError, forecast, job_message, problem_error, row_error
from rt_predictor_formats.errors import Problem
from rtpredictor.v1 import job_pb2, prediction_service_pb2


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Rows of one message: the position of each, or why it was not sent; no ``message`` if none of them was."""

    rows: list[int | RowError]
    message: prediction_service_pb2.PredictStreamRequest | None


class Feed:
    """Jobs on their way to the service, and those that stay behind because they cannot be sent.

    Chunks are kept until they are answered: each call begins with the first that is not.
    """

    def __init__(self, jobs: Iterable[JobLike], risk: float | None, chunk_rows: int) -> None:
        self._jobs = enumerate(jobs)
        self._risk = risk
        self._chunk_rows = chunk_rows
        # gRPC reads the jobs of each call on a thread of its own, and that of a broken call may be in the middle of it
        self._reading = Lock()
        self._chunks: dict[int, _Chunk] = {}
        self._read = 0
        self._failure: BaseException | None = None
        self.answered = 0
        """Chunks that have been answered."""

    def requests(self) -> Iterator[prediction_service_pb2.PredictStreamRequest]:
        """Yield the messages of a call, those of an earlier one that were not answered first."""
        number = self.answered
        while (chunk := self._chunk(number)) is not None:
            number += 1
            if chunk.message is not None:
                yield chunk.message

    def _chunk(self, number: int) -> _Chunk | None:
        """Return a chunk; None after the last, and for a call whose chunks another has had answered."""
        with self._reading:
            if number == self._read:
                self._read_on()
        return self._chunks.get(number)

    def _read_on(self) -> None:
        try:
            rows = list(islice(self._jobs, self._chunk_rows))
            if rows:
                self._chunks[self._read] = self._convert(rows)
                self._read += 1
        except Exception as failure:  # noqa: BLE001 - gRPC would swallow it on its thread; rest() raises it
            self._failure = failure

    def _convert(self, jobs: list[tuple[int, JobLike]]) -> _Chunk:
        messages: list[job_pb2.Job] = []
        rows: list[int | RowError] = []
        for position, job in jobs:
            try:
                messages.append(job_message(job))
                rows.append(position)
            except Problem as problem:
                rows.append(problem_error(problem, position))
        request = prediction_service_pb2.PredictStreamRequest(jobs=messages, risk=self._risk) if messages else None
        return _Chunk(rows, request)

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
        while chunk := self._chunks.pop(self.answered, None):
            self.answered += 1
            rows.extend(chunk.rows)
            if chunk.message is not None:
                break
        return rows

    def rest(self) -> Iterator[RowError]:
        """Yield the last rows if none of them could be sent; raises what the jobs' iterable raised."""
        if self._failure is not None:
            raise self._failure
        while chunk := self._chunks.pop(self.answered, None):
            self.answered += 1
            for row in chunk.rows:
                if not isinstance(row, RowError):
                    raise _mismatch(f"no result from row {row} on")
                yield row


def _mismatch(thing: str) -> ClientError:
    return ClientError("ANSWER_MISMATCH", thing, remedy="bring client and service to one version")
