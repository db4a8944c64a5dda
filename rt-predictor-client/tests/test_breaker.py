"""A service that does not answer is not asked again and again; one call at a time tries whether it is back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from google.rpc import code_pb2

from rt_predictor_client.client import Client
from rt_predictor_client.config import BreakerPolicy
from rt_predictor_client.errors import CircuitOpen, ClientError, TimedOut, Unreachable

JOB = {"user": "ada"}
LONG = BreakerPolicy(failures=3, seconds=60)
SHORT = BreakerPolicy(failures=1, seconds=0.3)


def until(holds: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def kind_of(call: Callable[[], Any]) -> type[BaseException] | None:
    """Return how a call fails; None if it does not."""
    try:
        call()
    except ClientError as error:
        return type(error)
    return None


@pytest.fixture
def impatient(peer: Any) -> Iterator[Client]:
    with Client(peer.address, timeout_seconds=0.2, breaker=LONG) as client:
        yield client


def test_after_enough_failures_no_call_is_made_and_the_error_says_until_when(impatient: Client, peer: Any) -> None:
    peer.hang = threading.Event()
    assert [kind_of(impatient.model) for _ in range(3)] == [TimedOut] * 3
    made = dict(peer.calls)
    with pytest.raises(CircuitOpen, match=r"calls are tried again in (59\.\d|60\.0) s") as caught:
        impatient.predict(JOB)
    assert (caught.value.code, caught.value.place, peer.calls) == ("CIRCUIT_OPEN", peer.address, made)
    assert 50 < (caught.value.retry_after or 0) <= 60


def test_nobody_at_the_address_counts_as_well() -> None:
    with Client("127.0.0.1:1", breaker=BreakerPolicy(failures=1)) as client:
        assert [kind_of(client.health) for _ in range(2)] == [Unreachable, CircuitOpen]


@pytest.mark.parametrize("name", ["INVALID_ARGUMENT", "UNAUTHENTICATED", "RESOURCE_EXHAUSTED", "INTERNAL"])
def test_any_other_status_is_an_answer(peer: Any, name: str) -> None:
    with Client(peer.address, timeout_seconds=5, breaker=BreakerPolicy(failures=2)) as client:
        for code in (code_pb2.DEADLINE_EXCEEDED, code_pb2.Code.Value(name)) * 3:
            peer.refuse(code)
            assert kind_of(client.models) not in {None, CircuitOpen}
    assert peer.calls == {"ListModels": 6}


def test_a_call_that_is_answered_closes_it_again(peer: Any) -> None:
    with Client(peer.address, breaker=SHORT) as client:
        peer.refuse(code_pb2.DEADLINE_EXCEEDED)
        assert client.breaker_state == "closed"
        assert [kind_of(client.models), kind_of(client.models)] == [TimedOut, CircuitOpen]
        assert client.breaker_state == "open"
        peer.always = None
        until(lambda: kind_of(client.models) is None, "the circuit to close")
        assert client.breaker_state == "closed"
        assert [kind_of(client.models) for _ in range(5)] == [None] * 5


def test_a_trial_that_fails_opens_it_anew(peer: Any) -> None:
    with Client(peer.address, breaker=SHORT) as client:
        peer.refuse(code_pb2.DEADLINE_EXCEEDED)
        assert kind_of(client.models) is TimedOut
        until(lambda: kind_of(client.models) is TimedOut, "a trial")
        assert kind_of(client.models) is CircuitOpen


def test_one_call_at_a_time_tries(peer: Any) -> None:
    with Client(peer.address, timeout_seconds=20, breaker=SHORT) as client, ThreadPoolExecutor(9) as pool:
        peer.refuse(code_pb2.DEADLINE_EXCEEDED)
        assert kind_of(client.models) is TimedOut
        peer.always, peer.hang, made = None, threading.Event(), peer.calls["ListModels"]

        def tries() -> type[BaseException] | None:
            """Ask until a call is made."""
            while (kind := kind_of(client.models)) is CircuitOpen and peer.calls["ListModels"] == made:
                time.sleep(0.01)
            return kind

        asking = [pool.submit(tries) for _ in range(8)]
        until(lambda: sum(one.done() for one in asking) == 7, "all but the trial to be refused")
        assert {one.result() for one in asking if one.done()} == {CircuitOpen}
        assert peer.calls["ListModels"] == made + 1
        assert kind_of(client.models) is CircuitOpen
        peer.hang.set()
        assert {one.result() for one in asking} == {CircuitOpen, None}
        assert kind_of(client.models) is None


def test_a_stream_that_has_begun_keeps_no_other_call_waiting(peer: Any) -> None:
    with Client(peer.address, breaker=SHORT) as client:
        peer.refuse(code_pb2.DEADLINE_EXCEEDED)
        assert kind_of(client.models) is TimedOut
        peer.always = None
        streams: list[Any] = []

        def begun() -> bool:
            streams.append(client.predict_many([JOB] * 3, chunk_rows=1))
            return kind_of(lambda: next(streams[-1])) is None

        until(begun, "a stream to be the trial")
        assert kind_of(client.models) is None
        assert len(list(streams[-1])) == 2


def test_without_a_breaker_every_call_is_made(peer: Any) -> None:
    peer.refuse(code_pb2.DEADLINE_EXCEEDED)
    with Client(peer.address, breaker=None) as client:
        assert [kind_of(client.models) for _ in range(20)] == [TimedOut] * 20
        assert client.breaker_state == "off"
    assert peer.calls == {"ListModels": 20}


def test_a_command_has_none(rtp: Any, peer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RT_PREDICTOR_BREAKER_FAILURES", "1")
    peer.refuse(code_pb2.DEADLINE_EXCEEDED)
    assert "TIMED_OUT" in rtp("model").err
    assert "TIMED_OUT" in rtp("model").err
