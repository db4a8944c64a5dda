"""The service with nginx before its workers: what is too much is refused there, and all else is as without."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Event, Thread
from typing import Any

import grpc
import psutil
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from rt_predictor_api.admission import overloaded
from rt_predictor_api.front import FORWARDED, nginx
from rt_predictor_api.front.configuration import FEW, nobody
from rt_predictor_api.front.front import front_of
from rt_predictor_api.main import MISCONFIGURED
from rt_predictor_api.settings import read
from rt_predictor_api.statuses import problem_status
from rt_predictor_formats.errors import Problem
from rtpredictor.v1.model_service_pb2 import GetModelRequest
from rtpredictor.v1.prediction_service_pb2 import PredictRequest, PredictStreamRequest
from rtpredictor.v1.prediction_service_pb2_grpc import PredictionServiceStub

PREDICT = "/rtpredictor.v1.PredictionService/Predict"
REFUSED = 'rtpredictor_calls_refused_total{reason="overloaded"}'
RESTARTS = "rtpredictor_worker_restarts_total"


@pytest.fixture
def plain() -> Iterator[Callable[[Any], grpc.Channel]]:
    """Makes connections of their own on which nothing is tried again."""
    with ExitStack() as opened:

        def to(service: Any) -> grpc.Channel:
            options = [("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1)]
            return opened.enter_context(grpc.insecure_channel(f"127.0.0.1:{service.port}", options))

        yield to


def of_nginx(service: Any) -> list[psutil.Process]:
    every = psutil.Process(service.process.pid).children(recursive=True)
    return [process for process in every if process.name() == "nginx"]


def workers(service: Any) -> list[psutil.Process]:
    every = psutil.Process(service.process.pid).children()
    return [process for process in every if process.name() != "nginx"]


def ask(channel: grpc.Channel, job: Any) -> Any:
    return PredictionServiceStub(channel).Predict(PredictRequest(job=job), timeout=60).forecast


def answered(channel: grpc.Channel, job: Any) -> bool:
    """Return whether a job is forecast; where not, its caller may try again."""
    call = PredictionServiceStub(channel).Predict.future(PredictRequest(job=job), timeout=60)
    error: Any = call.exception()
    assert error is None or error.code() == grpc.StatusCode.UNAVAILABLE
    return error is None


def parts(status: Any) -> tuple[int, str, list[Any]]:
    retry, info = error_details_pb2.RetryInfo(), error_details_pb2.ErrorInfo()
    assert [detail.Unpack(kind) for detail, kind in zip(status.details, (retry, info), strict=True)] == [True, True]
    return status.code, status.message, [retry, info]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_calls_streams_and_reports_pass_and_are_counted(fronted: Any, job: Any, event: Any, workers: str) -> None:
    service = fronted("--workers", workers)
    assert service.status() == "SERVING"
    for number in range(20):
        assert ask(service.channel, job()).history_jobs == number
        assert service.report(event(number)).accepted == 1
    rows = [PredictStreamRequest(jobs=[job()] * 500)] * 4
    assert sum(len(answer.results) for answer in service.prediction.PredictStream(iter(rows), timeout=60)) == 2_000
    assert service.model.GetModel(GetModelRequest()).model.version
    assert service.value('rtpredictor_requests_total{code="OK",rpc="Predict"}') == 20
    assert (service.value(REFUSED), service.value(RESTARTS)) == (0, 0)


def test_a_burst_is_answered(fronted: Any, plain: Any, job: Any) -> None:
    service = fronted()
    most = 32
    futures = [plain(service).unary_unary(PREDICT).future for _ in range(8)]
    message = PredictRequest(job=job()).SerializeToString()
    calls = [futures[number % 8](message, timeout=60, wait_for_ready=True) for number in range(most)]
    assert all(call.result() for call in calls)
    assert service.value(REFUSED) == 0


def test_what_is_too_much_is_refused_as_the_service_would_and_few_are_let_in_until_it_is_over(
    fronted: Any, plain: Any, job: Any, until: Any
) -> None:
    service = fronted("--workers", "2", RT_PREDICTOR_MAX_ACTIVE_CALLS="8", RT_PREDICTOR_MAX_PENDING_CALLS="8")
    (folder,) = re.findall(r" -p (\S+)", " ".join(word for process in of_nginx(service) for word in process.cmdline()))
    crowded = Path(folder, "crowded").exists
    stop = Event()
    answered: list[Any] = []
    refusals: list[Any] = []

    def flood(channel: grpc.Channel) -> None:
        while not stop.is_set():
            calls = [
                PredictionServiceStub(channel).Predict.future(PredictRequest(job=job()), timeout=60) for _ in range(20)
            ]
            for call in calls:
                error = call.exception()
                if error is None:
                    answered.append(call.result())
                else:
                    refusals.append(error)

    threads = [Thread(target=flood, args=(plain(service),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        until(crowded, "the crowd to be seen")
        known = len(answered)
        until(lambda: len(answered) > known + 20, "calls to be answered all the same")
        until(lambda: service.value(REFUSED) > 0, "refusals to be counted")
        assert service.status() == "SERVING", "health is not counted"
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert {error.code() for error in refusals} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert len({error.details() for error in refusals}) == 1
    assert parts(rpc_status.from_call(refusals[0])) == parts(problem_status(overloaded()))
    until(lambda: not crowded(), "the crowd to be over")
    assert ask(service.channel, job())
    counted = service.value(REFUSED)
    assert 0.3 * len(refusals) < counted < 3 * len(refusals), "estimated from one in twenty"


def test_calls_without_their_message_give_their_places_back(fronted: Any, plain: Any, job: Any, until: Any) -> None:
    service = fronted(RT_PREDICTOR_MAX_ACTIVE_CALLS="2", RT_PREDICTOR_MAX_PENDING_CALLS="2")
    release = Event()

    def never() -> Iterator[bytes]:
        release.wait(60)
        yield from ()

    channel = plain(service)
    held = [channel.stream_unary(PREDICT).future(never(), timeout=60) for _ in range(4)]
    try:
        until(lambda: all(call.done() for call in held), "them to be given up")
        assert ask(plain(service), job())
    finally:
        release.set()


def test_nginx_that_dies_is_replaced(fronted: Any, job: Any, until: Any) -> None:
    service = fronted()
    (master,) = (process for process in of_nginx(service) if process.ppid() == service.process.pid)
    master.kill()
    until(lambda: service.value(RESTARTS) == 1, "another one")

    until(lambda: answered(service.channel, job()), "calls to be answered again")
    assert service.said("nginx died")["status"] == -signal.SIGKILL


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_nginx_ends_with_the_service_and_leaves_the_port(
    fronted: Any, job: Any, until: Any, number: signal.Signals, workers: str
) -> None:
    service = fronted("--workers", workers)
    processes = of_nginx(service)
    assert processes
    assert ask(service.channel, job())
    assert service.end(number) == (0 if number == signal.SIGTERM else -signal.SIGKILL)
    until(lambda: not any(map(psutil.Process.is_running, processes)), "nginx to end")
    assert ask(fronted("--port", str(service.port)).channel, job())


def test_a_drain_answers_what_was_begun_and_refuses_the_rest(fronted: Any, plain: Any, job: Any, until: Any) -> None:
    service = fronted("--workers", "2")
    answered, refusals, stop = [0], [], Event()

    def repeat(channel: grpc.Channel) -> None:
        while not stop.is_set():
            try:
                ask(channel, job())
                answered[0] += 1
            except grpc.RpcError as error:
                refusals.append(error.code())
                stop.wait(0.01)

    threads = [Thread(target=repeat, args=(plain(service),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: answered[0] > 100, "calls to be answered")
        assert service.end() == 0
        until(lambda: len(refusals) > 4, "calls to be refused")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert set(refusals) == {grpc.StatusCode.UNAVAILABLE}, "a caller may try again, nothing else"


def test_a_worker_that_dies_is_passed_over_and_without_any_calls_are_told_so(
    fronted: Any, plain: Any, job: Any, until: Any
) -> None:
    service = fronted("--workers", "2")
    until(lambda: len(service.lines_of("worker listening")) == 2, "both workers to listen", 60)
    channel = plain(service)
    workers(service)[0].kill()
    # what it had in that moment may be tried again, nothing else
    until(lambda: answered(channel, job()), "a call to be answered")
    assert all(ask(channel, job()) for _ in range(50))
    until(lambda: len(service.lines_of("worker listening")) == 3, "its successor", 60)
    for process in workers(service):
        process.kill()
        process.wait()
    refused: Any = PredictionServiceStub(channel).Predict.future(PredictRequest(job=job()), timeout=60)
    assert parts(rpc_status.from_call(refused)) == parts(problem_status(nobody()))
    until(lambda: answered(channel, job()), "their successors", 60)


def test_who_calls_is_told_by_nginx_and_not_by_the_caller(fronted: Any, plain: Any, job: Any, access_file: Any) -> None:
    path, tokens = access_file(portal="report")
    service = fronted(RT_PREDICTOR_ACCESS_FILE=str(path))
    call = PredictionServiceStub(plain(service)).Predict
    metadata = (("authorization", f"Bearer {tokens['portal']}"), (FORWARDED, "ipv4:192.0.2.1:1"))
    with pytest.raises(grpc.RpcError) as caught:
        call(PredictRequest(job=job()), timeout=60, metadata=metadata)
    assert caught.value.code() == grpc.StatusCode.PERMISSION_DENIED
    assert service.said("call refused")["peer"].startswith("ipv4:127.0.0.1:")


def test_the_budget_of_a_caller_is_that_of_its_address(fronted: Any, plain: Any, job: Any) -> None:
    service = fronted(RT_PREDICTOR_RATE_PER_SECOND="0.001", RT_PREDICTOR_RATE_BURST="3")
    outcomes = []
    for number in range(5):
        call = PredictionServiceStub(plain(service)).Predict
        try:
            call(PredictRequest(job=job()), timeout=60, metadata=((FORWARDED, f"ipv4:192.0.2.{number}:1"),))
            outcomes.append("answered")
        except grpc.RpcError as error:
            outcomes.append(error.code().name)
    assert outcomes == ["answered"] * 3 + ["RESOURCE_EXHAUSTED"] * 2


def test_clients_are_told_to_look_for_replicas_anew(fronted: Any, job: Any, until: Any) -> None:
    service = fronted(RT_PREDICTOR_MAX_CONNECTION_SECONDS="1")
    ports: set[int] = set()

    def moved() -> bool:
        assert ask(service.channel, job())
        ports.update(
            connection.laddr.port
            for connection in psutil.Process().net_connections("tcp")
            if connection.raddr and connection.raddr.port == service.port
        )
        return len(ports) > 1

    until(moved, "another connection")


@pytest.mark.parametrize("form", ["ipv4:127.0.0.1:{0},127.0.0.1:{0}", "localhost:{0}"])
def test_clients_may_name_the_service_as_they_like(fronted: Any, job: Any, form: str) -> None:
    with grpc.insecure_channel(form.format(fronted().port)) as channel:
        assert ask(channel, job())


def test_a_port_is_not_taken_twice_and_tests_of_settings_come_first(fronted: Any, refused: Any) -> None:
    service = fronted()
    for workers in ("1", "2"):
        line = refused("--nginx", "--workers", workers, "--port", str(service.port))
        assert line.endswith("[PORT_IN_USE]")
    line = refused("--nginx", "--host", "0.0.0.0", status=MISCONFIGURED)  # noqa: S104
    assert line.endswith("[INSECURE_LISTEN]")
    line = refused("--nginx", RT_PREDICTOR_TLS_CLIENT_CA="ca.pem", status=MISCONFIGURED)
    assert "RT_PREDICTOR_NGINX" in line
    assert line.endswith("[SETTING_INVALID]")


def test_without_nginx_there_is_one_line_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(nginx, "PLACES", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(Problem) as caught:
        front_of(read({"nginx": True, "port": 0}))
    assert caught.value.code == "NGINX_MISSING"


def test_nginx_that_cannot_begin_ends_the_start_with_its_last_words(tmp_path: Path, refused: Any) -> None:
    false = tmp_path / "nginx"
    false.write_text("#!/bin/sh\necho '[emerg] no more memory' >&2\nexit 1\n", encoding="utf-8")
    false.chmod(0o755)
    line = refused("--nginx", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert "no more memory" in line
    assert line.endswith("[NGINX_DIED]")


def test_few_are_fewer_than_a_burst() -> None:
    settings = read({})
    assert 1 < FEW < settings.max_active_calls + settings.max_pending_calls
