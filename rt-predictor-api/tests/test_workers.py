"""Several processes on one port: one history, one calibration, one set of metrics, and none missed when it dies."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest

from rt_predictor_api.main import MISCONFIGURED
from rtpredictor.v1.history_service_pb2 import ReportJobsRequest
from rtpredictor.v1.history_service_pb2_grpc import HistoryServiceStub
from rtpredictor.v1.prediction_service_pb2 import PredictRequest
from rtpredictor.v1.prediction_service_pb2_grpc import PredictionServiceStub

CONNECTIONS = 12
"""The system deals connections out by chance: so many are with one of two processes once in 2,048 times."""


@pytest.fixture
def service(start: Callable[..., Any], until: Callable[..., Any]) -> Any:
    running = start("--workers", "2")
    until(lambda: len(running.lines_of("worker listening")) == 2, "both workers to listen", 60)
    return running


def workers(service: Any) -> list[int]:
    return [child.pid for child in psutil.Process(service.process.pid).children()]


@contextmanager
def connected(service: Any) -> Iterator[list[grpc.Channel]]:
    """Give connections of their own, over all workers."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.insecure_channel(f"127.0.0.1:{service.port}", options) for _ in range(CONNECTIONS)]
    try:
        yield channels
    finally:
        for channel in channels:
            channel.close()


def report(channel: grpc.Channel, *events: Any) -> Any:
    return HistoryServiceStub(channel).ReportJobs(iter([ReportJobsRequest(events=events)]), timeout=30)


def forecast(channel: grpc.Channel, job: Any) -> Any:
    return PredictionServiceStub(channel).Predict(PredictRequest(job=job), timeout=30).forecast


def test_every_worker_knows_at_once_what_any_was_told_and_counts_it_once(service: Any, job: Any, event: Any) -> None:
    with connected(service) as channels:
        for number, channel in enumerate(channels):
            assert report(channel, event(number, run_time=300 + 60 * number)).accepted == 1
            said = [forecast(other, job()) for other in channels]
            assert [one.history_jobs for one in said] == [number + 1] * CONNECTIONS
            assert said == said[:1] * CONNECTIONS, "history or calibration differs between the workers"
        again = [report(channel, event(0), event(7)) for channel in channels]
        assert {(one.accepted, one.duplicates) for one in again} == {(0, 2)}
    calls = 'rtpredictor_requests_total{code="OK",rpc="Predict"}'
    assert service.value(calls) == CONNECTIONS**2
    assert service.value('rtpredictor_reported_events_total{outcome="accepted"}') == CONNECTIONS
    assert service.value("rtpredictor_journal_events") == CONNECTIONS
    assert (
        service.value('rtpredictor_live_ends_total{forecast="at_end",interval="inside"}')
        + service.value('rtpredictor_live_ends_total{forecast="at_end",interval="below"}')
        + service.value('rtpredictor_live_ends_total{forecast="at_end",interval="above"}')
        == CONNECTIONS
    )
    assert service.value("rtpredictor_ready") == 1
    assert service.value("rtpredictor_workers") == 2
    assert service.value("process_resident_memory_bytes") > sum(
        0.5 * psutil.Process(worker).memory_info().rss for worker in workers(service)
    )


def test_a_forecast_of_one_worker_is_compared_with_the_end_that_another_is_told(
    service: Any, event: Any, until: Callable[..., Any]
) -> None:
    compared = [
        f'rtpredictor_live_ends_total{{forecast="earlier",interval="{side}"}}' for side in ("below", "inside", "above")
    ]
    with connected(service) as channels:
        for number, channel in enumerate(channels):
            forecast(channel, event(number).job)
        remembered = service.remembered
        until(lambda: remembered() == CONNECTIONS, "the forecasts to be on disk")
        for number, channel in enumerate(reversed(channels)):
            report(channel, event(number))
    assert sum(service.value(series) for series in compared) == CONNECTIONS


def test_a_worker_that_dies_is_replaced_and_its_successor_knows_everything(
    service: Any, job: Any, event: Any, until: Callable[..., Any]
) -> None:
    before = workers(service)
    report(service.channel, event(1), event(2))
    known = forecast(service.channel, job())
    counted = service.value('rtpredictor_requests_total{code="OK",rpc="ReportJobs"}')
    os.kill(before[0], signal.SIGKILL)

    def replaced() -> bool:
        # who comes meanwhile meets those that can answer, which the successor cannot before it has its model
        with connected(service) as channels:
            assert [forecast(channel, job()) for channel in channels] == [known] * CONNECTIONS
        return len(service.lines_of("worker listening")) == 3

    until(lambda: service.said("worker died"), "the death to be seen")
    until(replaced, "the successor", 60)
    assert set(workers(service)) & set(before) == {before[1]}
    with connected(service) as channels:
        assert [forecast(channel, job()) for channel in channels] == [known] * CONNECTIONS
    until(lambda: service.value("rtpredictor_workers") == 2, "the successor to be counted")
    assert service.value("rtpredictor_worker_restarts_total") == 1
    assert service.value('rtpredictor_requests_total{code="OK",rpc="ReportJobs"}') == counted == 1
    assert service.said("worker died")["status"] == -signal.SIGKILL


def test_a_worker_that_cannot_begin_is_tried_again_ever_later(
    service: Any, models: Path, until: Callable[..., Any]
) -> None:
    first, second = workers(service)
    shutil.rmtree(models)
    os.kill(first, signal.SIGKILL)
    until(lambda: len(service.lines_of("worker died")) >= 4, "a few attempts", 90)
    waits = [line["again_in"] for line in service.lines_of("worker died")]
    assert waits[1:4] == sorted(waits[1:4])
    assert waits[3] >= 2.0
    assert second in workers(service), "the other goes on"


def test_a_signal_ends_all_and_so_does_the_death_of_the_supervisor(
    start: Callable[..., Any], until: Callable[..., Any]
) -> None:
    for number, status in ((signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)):
        service = start("--workers", "2")
        processes = [psutil.Process(worker) for worker in workers(service)]
        assert len(processes) == 2
        assert service.end(number) == status
        until(lambda processes=processes: not any(map(psutil.Process.is_running, processes)), "the workers to end")


def test_two_services_never_share_a_port(start: Callable[..., Any], refused: Any) -> None:
    several, alone = start("--workers", "2"), start()
    for port in (several.port, alone.port):
        for count in ("1", "2"):
            assert refused("--workers", count, "--port", str(port)).endswith("[PORT_IN_USE]")


def test_what_keeps_the_first_worker_from_beginning_ends_the_service(refused: Any, tmp_path: Path) -> None:
    assert refused("--workers", "2", "--models", str(tmp_path / "none")).endswith("[NO_MODEL]")
    assert refused("--workers", "0", status=MISCONFIGURED).endswith("[SETTING_INVALID]")
