"""Two real services behind one client: calls are shared out, and the death of one is not noticed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from rt_predictor_client import Client

if TYPE_CHECKING:
    from conftest import Server

JOB = {"user": "ada", "wallclock_req": 7200, "nodes_req": 2, "name": "relax_01"}
END = {**JOB, "job_id": "1", "submit_time": 1000, "start_time": 1100, "end_time": 1200, "state": "COMPLETED"}


def arrow() -> bytes:
    """Return jobs as an Arrow IPC stream."""
    batch = pa.record_batch({"user": ["ada", "emmy"], "wallclock_req": [7200, 3600]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return bytes(sink.getvalue().to_pybytes())


ARROW = arrow()
CALLS: dict[str, Callable[[Client], Any]] = {
    "Predict": lambda client: client.predict(JOB),
    "PredictRemaining": lambda client: client.predict_remaining(JOB, 60),
    "PredictStream": lambda client: list(client.predict_many([JOB] * 5)),
    "PredictStream of Arrow": lambda client: list(client.predict_arrow_many([ARROW] * 5)),
    "ReportJobs": lambda client: client.report([END]),
    "GetModel": lambda client: client.model(),
    "ListModels": lambda client: client.models(),
    "GetEvaluation": lambda client: client.evaluation(),
    "ListJobs": lambda client: client.jobs_page("ada"),
    "Check": lambda client: client.health(),
}


@pytest.fixture
def replicas(server: Server, models: Path, tmp_path: Path) -> Iterator[list[Server]]:
    """Return two running services with histories of their own."""
    folder = tmp_path / "second"
    folder.mkdir()
    second = type(server)(models, folder)
    try:
        second.start()
        yield [server, second]
    finally:
        second.kill()


@contextmanager
def load(client: Client, answered: dict[str, int]) -> Iterator[None]:
    """Make every kind of call without a pause, each on a thread; raises what any of them raised."""
    stop = Event()

    def ask(name: str) -> None:
        while not stop.is_set():
            assert CALLS[name](client)
            answered[name] += 1

    with ThreadPoolExecutor(len(CALLS)) as pool:
        asking = [pool.submit(ask, name) for name in CALLS]
        try:
            yield
        finally:
            stop.set()
        for one in asking:
            one.result()


def wait_for(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def calls(server: Server) -> float:
    """Return how many calls a service has answered."""
    return sum(
        float(line.split()[-1])
        for line in server.metrics().splitlines()
        if line.startswith("rtpredictor_requests_total") and 'code="OK"' in line
    )


@pytest.mark.timeout(600)  # two services are started, and one of them again
def test_no_call_fails_when_a_replica_is_killed_under_load(replicas: list[Server]) -> None:
    first, second = replicas
    answered = dict.fromkeys(CALLS, 0)
    with ExitStack() as stack:
        client = stack.enter_context(Client(f"{first.address},{second.address}", timeout_seconds=60, breaker=None))
        stack.enter_context(load(client, answered))
        wait_for(lambda: min(answered.values()) > 5 and calls(first) > 20 < calls(second), "both to be asked")
        second.kill()
        before = dict(answered)
        wait_for(lambda: all(answered[name] > before[name] + 20 for name in CALLS), "calls to go on with one")
        second.start()
        wait_for(lambda: calls(second) > 20, "calls to go to the one that is back")
