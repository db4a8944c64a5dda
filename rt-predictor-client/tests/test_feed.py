"""Streams from the caller's side: Arrow as it is, and no more on the way than is taken."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rt_predictor_client.client import Client
from rt_predictor_client.errors import ClientError
from rt_predictor_client.feed import MOST_UNANSWERED, Feed, of_arrow, of_jobs
from rt_predictor_client.requests import RowError
from rt_predictor_formats.errors import Problem
from rtpredictor.v1.prediction_service_pb2 import PredictResult, PredictStreamResponse

JOB = {"wallclock_req": 60}
BAD = {"colour": "red"}
STREAMS: dict[str, Callable[[Client, Iterator[bytes]], Iterator[Any]]] = {
    "rows": lambda client, read: client.predict_many(({**JOB, "name": str(one)} for one in read), chunk_rows=1),
    "arrow": lambda client, read: client.predict_arrow_many(read),
}


class Read:
    """Payloads without an end, how many of them were read, and by which thread."""

    def __init__(self) -> None:
        self.count = 0
        self.by = threading.current_thread()

    def __iter__(self) -> Iterator[bytes]:
        while True:
            self.count += 1
            self.by = threading.current_thread()
            yield self.count.to_bytes(4)


@pytest.fixture(params=STREAMS)
def stream(request: Any, client: Client) -> Callable[[Iterator[bytes]], Iterator[Any]]:
    return lambda read: STREAMS[request.param](client, read)


def test_arrow_comes_back_in_order_and_unchanged(client: Client, peer: Any) -> None:
    payloads = [bytes(reversed(f"payload {number}".encode())) for number in range(30)]
    answers = client.predict_arrow_many(iter(payloads), risk=0.2)
    assert list(answers) == [f"payload {number}".encode() for number in range(30)]
    assert {request.risk for request in peer.requests} == {0.2}
    assert not any(request.jobs for request in peer.requests)


def test_no_arrow_gives_no_answers(client: Client) -> None:
    assert list(client.predict_arrow_many([])) == []


@pytest.mark.parametrize("wrong", ["text", 3])
def test_what_is_no_bytes_comes_out_as_a_type_error(client: Client, wrong: Any) -> None:
    answers = client.predict_arrow_many([b"ab", wrong])
    assert next(answers) == b"ba"
    with pytest.raises(TypeError):
        next(answers)


def test_what_the_payloads_raise_comes_out_of_predict_arrow_many(client: Client) -> None:
    def payloads() -> Iterator[bytes]:
        yield b"ab"
        raise Problem("FILE_INVALID", "broken", remedy="mend it")

    with pytest.raises(Problem, match="broken"):
        list(client.predict_arrow_many(payloads()))


def test_an_answer_in_another_form_is_told() -> None:
    feed = Feed(of_arrow([b"rows"], None))
    next(feed.requests(1))
    with pytest.raises(ClientError, match="no Arrow stream for one that was sent"):
        list(feed.answers(PredictStreamResponse(results=[PredictResult()])))


def test_no_more_is_read_than_a_few_messages_ahead(stream: Any, peer: Any) -> None:
    read = Read()
    answers = stream(iter(read))
    for taken in range(1, 40):
        assert next(answers)
        assert read.count <= taken + MOST_UNANSWERED
        assert len(peer.requests) <= taken + MOST_UNANSWERED
    answers.close()


def test_nothing_waits_to_send_once_the_answers_are_left(stream: Any) -> None:
    read = Read()
    answers = stream(iter(read))
    next(answers)
    assert read.by is not threading.current_thread()
    answers.close()
    read.by.join(20)
    assert not read.by.is_alive()


def test_a_call_that_is_over_sends_nothing_more() -> None:
    feed = Feed(of_arrow(iter(Read()), None))
    requests = feed.requests(30)
    sent = [next(requests) for _ in range(MOST_UNANSWERED)]
    ended = threading.Timer(0.05, feed.end)
    ended.start()
    assert list(requests) == []
    ended.join()
    # the next call begins with what was not answered
    assert next(feed.requests(30)) == sent[0]


def test_a_call_waits_for_its_reader_until_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rt_predictor_client.feed._SLACK_SECONDS", 0.0)
    assert len(list(Feed(of_arrow(iter(Read()), None)).requests(0.05))) == MOST_UNANSWERED


def test_chunks_that_are_not_sent_take_no_room() -> None:
    feed = Feed(of_jobs([BAD] * 3 * MOST_UNANSWERED + [JOB], None, 1))
    requests = feed.requests(0.05)
    assert len(next(requests).jobs) == 1
    told = list(feed.answers(PredictStreamResponse(results=[PredictResult()])))
    assert [isinstance(one, RowError) for one in told] == [True] * 3 * MOST_UNANSWERED + [False]
    assert list(requests) == []
    assert list(feed.rest()) == []


def test_an_answer_to_nothing_is_told() -> None:
    feed = Feed(of_arrow([], None))
    assert list(feed.requests(1)) == []
    with pytest.raises(ClientError, match="more answers than messages"):
        list(feed.answers(PredictStreamResponse()))


def test_an_answer_that_stays_out_is_told() -> None:
    feed = Feed(of_jobs([JOB], None, 1))
    assert len(list(feed.requests(1))) == 1
    with pytest.raises(ClientError, match="0 results for 1 jobs"):
        list(feed.rest())
