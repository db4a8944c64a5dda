"""Arrow through the client to a real service: in one call or in a stream, the forecasts are the same."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rt_predictor_client import Client
from rt_predictor_client.feed import MOST_UNANSWERED

if TYPE_CHECKING:
    from conftest import Server

COLUMNS = ["user", "name", "account", "wallclock_req", "nodes_req", "submit_time"]
CHUNK_ROWS = 500
MESSAGES = 60


@pytest.fixture(scope="module")
def jobs(log: Path) -> pa.Table:
    """Return jobs of the log."""
    return pq.read_table(log, columns=COLUMNS)


def encoded(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def decoded(data: bytes) -> pa.Table:
    return pa.ipc.open_stream(data).read_all()


def made(server: Server) -> float:
    """Return how many forecasts the service has made."""
    lines = server.metrics().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("rtpredictor_forecasts_total"))


def wait_for(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def open_streams(server: Server) -> bool:
    """Return whether the service works on a stream."""
    return 'rtpredictor_requests_in_flight{rpc="PredictStream"} 1.0' in server.metrics()


def test_a_stream_says_to_the_bit_what_one_call_says(lasting_server: Server, jobs: pa.Table) -> None:
    with Client(lasting_server.address, timeout_seconds=60) as client:
        whole = decoded(client.predict_arrow(encoded(jobs), risk=0.2))
        chunks = [encoded(jobs.slice(first, CHUNK_ROWS)) for first in range(0, len(jobs), CHUNK_ROWS)]
        parts = [decoded(answer) for answer in client.predict_arrow_many(chunks, risk=0.2)]
    assert [len(part) for part in parts] == [min(CHUNK_ROWS, len(jobs) - n * CHUNK_ROWS) for n in range(len(chunks))]
    assert pa.concat_tables(parts).equals(whole)
    assert len(whole) > CHUNK_ROWS


def test_who_does_not_read_has_little_made_and_who_leaves_nothing_more(server: Server, jobs: pa.Table) -> None:
    payload = encoded(jobs.slice(0, CHUNK_ROWS))
    read = 0

    def payloads() -> Iterator[bytes]:
        nonlocal read
        for _ in range(MESSAGES):
            read += 1
            yield payload

    with Client(server.address, timeout_seconds=60) as client:
        answers = client.predict_arrow_many(payloads())
        for taken in range(1, 4):
            assert len(decoded(next(answers))) == CHUNK_ROWS
            wait_for(lambda taken=taken: made(server) == (taken + MOST_UNANSWERED) * CHUNK_ROWS, "those on the way")
            assert read == taken + MOST_UNANSWERED
        answers.close()
        wait_for(lambda: not open_streams(server), "the stream to end")
        assert made(server) == (3 + MOST_UNANSWERED) * CHUNK_ROWS
        # and the service is free for others
        assert len(decoded(client.predict_arrow(payload))) == CHUNK_ROWS
