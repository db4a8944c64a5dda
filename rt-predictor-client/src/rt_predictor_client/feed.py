"""The messages of a stream, on their way to the service and answered; one that breaks off goes on in another call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from threading import Condition, Lock
from time import monotonic
from typing import Generic, Protocol, Self, TypeVar

from rt_predictor_client.errors import ClientError
from rt_predictor_client.requests import Forecast, JobLike, RowError, forecast, job_message, problem_error, row_error
from rt_predictor_formats.errors import Problem
from rtpredictor.v1 import job_pb2
from rtpredictor.v1.prediction_service_pb2 import PredictStreamRequest, PredictStreamResponse

Answer = TypeVar("Answer")
Answer_co = TypeVar("Answer_co", covariant=True)

MOST_UNANSWERED = 4
"""Messages on the way: some being worked on and answered, while others are made and sent."""

_SLACK_SECONDS = 1.0
"""How long after its deadline a call still waits to send."""

_NOTHING = PredictStreamResponse()
"""What is answered to a chunk that was not sent."""


class ArrowForecasts(bytes):
    """Forecasts as an Arrow IPC stream; ``model_version`` names the model that made them."""

    model_version: str

    def __new__(cls, stream: bytes, model_version: str) -> Self:
        """Return the bytes of a stream with the version beside them."""
        made = super().__new__(cls, stream)
        made.model_version = model_version
        return made


class Chunk(Protocol[Answer_co]):
    """What one message holds; no ``message`` if none of it can be sent."""

    @property
    def message(self) -> PredictStreamRequest | None:
        """The message."""

    def answers(self, response: PredictStreamResponse) -> Iterator[Answer_co]:
        """Yield what its message was answered; raises ClientError for an answer to something else."""


class Feed(Generic[Answer]):
    """Chunks on their way to the service, kept until they are answered: each call begins with the first that is not.

    A call sends no more than ``MOST_UNANSWERED`` messages whose answers nobody has taken: without that gRPC would go on
    until megabytes were under way, and the service work ahead of a caller who does not read.
    """

    def __init__(self, chunks: Iterator[Chunk[Answer]]) -> None:
        self._unread = chunks
        # gRPC reads the chunks of each call on a thread of its own; that of a broken call may be in the middle of it
        self._reading = Lock()
        self._chunks: dict[int, Chunk[Answer]] = {}
        self._read = 0
        self._failure: BaseException | None = None
        self._taken = Condition()
        self._call = 0
        self._heard = 0
        self.answered = 0
        """Chunks that have been answered."""

    def requests(self, seconds: float) -> Iterator[PredictStreamRequest]:
        """Return the messages of a call of so many seconds, those of an earlier one that were not answered first."""
        self.end()
        # a call that is not over would be taken to have sent all
        return self._requests(self._call, self.answered, monotonic() + seconds + _SLACK_SECONDS)

    def end(self) -> None:
        """Let what still waits to send in the call end."""
        with self._taken:
            self._call += 1
            self._heard = 0
            self._taken.notify_all()

    def _requests(self, call: int, number: int, until: float) -> Iterator[PredictStreamRequest]:
        sent = 0
        while self._room(call, sent, until) and (chunk := self._chunk(number)) is not None:
            number += 1
            if chunk.message is not None:
                sent += 1
                yield chunk.message

    def _room(self, call: int, sent: int, until: float) -> bool:
        """Wait until one more message may be sent; False where the call is over."""
        with self._taken:
            return self._taken.wait_for(
                lambda: call != self._call or sent - self._heard < MOST_UNANSWERED, until - monotonic()
            ) and (call == self._call)

    def _chunk(self, number: int) -> Chunk[Answer] | None:
        """Return a chunk; None after the last, and for a call whose chunks another has had answered."""
        with self._reading:
            if number == self._read:
                self._read_on()
        return self._chunks.get(number)

    def _read_on(self) -> None:
        try:
            if (chunk := next(self._unread, None)) is not None:
                self._chunks[self._read] = chunk
                self._read += 1
        except Exception as failure:  # noqa: BLE001 - gRPC would swallow it on its thread; rest() raises it
            self._failure = failure

    def answers(self, response: PredictStreamResponse) -> Iterator[Answer]:
        """Yield what a message was answered, and before it what is said of the chunks that were not sent."""
        with self._taken:
            self._heard += 1
            self._taken.notify_all()
        while chunk := self._chunks.pop(self.answered, None):
            self.answered += 1
            if chunk.message is not None:
                yield from chunk.answers(response)
                return
            yield from chunk.answers(_NOTHING)
        raise _mismatch("more answers than messages")

    def rest(self) -> Iterator[Answer]:
        """Yield what is said of the last chunks if they were not sent; raises what the chunks' iterable raised."""
        if self._failure is not None:
            raise self._failure
        while chunk := self._chunks.pop(self.answered, None):
            self.answered += 1
            yield from chunk.answers(_NOTHING)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of one message: the position of each, or why it was not sent."""

    rows: list[int | RowError]
    message: PredictStreamRequest | None

    def answers(self, response: PredictStreamResponse) -> Iterator[Forecast | RowError]:
        sent = sum(not isinstance(row, RowError) for row in self.rows)
        if sent != len(response.results):
            raise _mismatch(f"{len(response.results)} results for {sent} jobs")
        results = iter(response.results)
        for row in self.rows:
            if isinstance(row, RowError):
                yield row
                continue
            result = next(results)
            yield row_error(result.error, row) if result.HasField("error") else forecast(result.forecast)


@dataclass(frozen=True, slots=True)
class _Arrow:
    """The Arrow IPC stream of one message."""

    message: PredictStreamRequest

    def answers(self, response: PredictStreamResponse) -> Iterator[ArrowForecasts]:
        if not response.arrow_results:
            raise _mismatch("no Arrow stream for one that was sent")
        yield ArrowForecasts(response.arrow_results, response.model_version)


def of_jobs(jobs: Iterable[JobLike], risk: float | None, chunk_rows: int) -> Iterator[Chunk[Forecast | RowError]]:
    """Yield so many jobs at a time as a chunk."""
    positions = enumerate(jobs)
    while some := list(islice(positions, chunk_rows)):
        yield _rows(some, risk)


def of_arrow(payloads: Iterable[bytes], risk: float | None) -> Iterator[Chunk[ArrowForecasts]]:
    """Yield each Arrow IPC stream as a chunk."""
    for payload in payloads:
        yield _Arrow(PredictStreamRequest(arrow_jobs=payload, risk=risk))


def _rows(jobs: list[tuple[int, JobLike]], risk: float | None) -> _Rows:
    messages: list[job_pb2.Job] = []
    rows: list[int | RowError] = []
    for position, job in jobs:
        try:
            messages.append(job_message(job))
            rows.append(position)
        except Problem as problem:
            rows.append(problem_error(problem, position))
    return _Rows(rows, PredictStreamRequest(jobs=messages, risk=risk) if messages else None)


def _mismatch(thing: str) -> ClientError:
    return ClientError("ANSWER_MISMATCH", thing, remedy="bring client and service to one version")
