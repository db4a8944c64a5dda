"""The service as a process: how it starts, refuses to start, drains, and survives being killed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from threading import Event
from typing import Any

import grpc
import pytest

from rt_predictor_api.main import MISCONFIGURED
from rtpredictor.v1.prediction_service_pb2 import PredictRequest, PredictStreamRequest

ROOT = Path(__file__).resolve().parents[1]


def test_a_killed_service_knows_after_a_restart_what_it_acknowledged(start: Any, job: Any, event: Any) -> None:
    first = start()
    before = first.prediction.Predict(PredictRequest(job=job())).forecast
    assert first.report(event(1, run_time=300), event(2, run_time=320)).accepted == 2
    known = first.prediction.Predict(PredictRequest(job=job())).forecast
    assert first.end(signal.SIGKILL) == -signal.SIGKILL
    second = start()
    assert second.prediction.Predict(PredictRequest(job=job())).forecast == known != before
    assert second.report(event(1), event(2)).duplicates == 2


def refuses(service: Any, job: Any) -> bool:
    try:
        service.prediction.Predict(PredictRequest(job=job), timeout=10)
    except grpc.RpcError:
        return True
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_a_running_stream_finish_and_ends_with_zero(
    start: Any, job: Any, until: Any, number: int
) -> None:
    service = start()
    remaining = iter([PredictStreamRequest(jobs=[job()])] * 3)
    go_on = Event()

    def requests() -> Any:
        yield next(remaining)
        go_on.wait(60)
        yield from remaining

    responses = service.prediction.PredictStream(requests(), timeout=60)
    next(responses)
    service.process.send_signal(number)
    until(lambda: service.said("draining"), "the drain to begin")
    until(lambda: refuses(service, job()), "new calls to be refused")
    go_on.set()
    assert len(list(responses)) == 2
    assert service.process.wait(60) == 0
    assert service.said("stopped")


def test_what_does_not_end_in_time_is_cut_off(start: Any, job: Any) -> None:
    service = start("--drain-seconds", "0.2")
    done = Event()

    def requests() -> Any:
        yield PredictStreamRequest(jobs=[job()])
        done.wait(60)

    responses = service.prediction.PredictStream(requests(), timeout=60)
    next(responses)
    assert service.end() == 0
    with pytest.raises(grpc.RpcError):
        next(responses)
    done.set()


def test_a_port_in_use_is_named(refused: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        line = refused("--port", port)
        assert f"127.0.0.1:{port}: another process listens" in line
        assert "--port" in line
        assert line.endswith("[PORT_IN_USE]")
        line = refused("--metrics-port", port)
        assert "--metrics-port" in line
        assert line.endswith("[PORT_IN_USE]")


def test_a_second_service_on_the_same_port_is_refused(start: Any, refused: Any) -> None:
    first = start()
    assert refused("--port", str(first.port)).endswith("[PORT_IN_USE]")


@pytest.mark.parametrize("host", ["no-such-host.invalid", "203.0.113.7"])
def test_an_address_of_another_machine_is_named(refused: Any, host: str) -> None:
    line = refused("--host", host, "--port", "50999", RT_PREDICTOR_ALLOW_INSECURE="true")
    assert f"{host}:50999" in line
    assert line.endswith("[ADDRESS_UNUSABLE]")


def test_a_missing_or_empty_folder_of_models_is_named(refused: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in ("missing", "empty"):
        line = refused("--models", str(tmp_path / folder))
        assert f"{tmp_path / folder}: no model" in line
        assert "rt-predictor-train" in line
        assert line.endswith("[NO_MODEL]")
        assert (tmp_path / folder).exists() == (folder == "empty")


def test_a_flipped_byte_in_the_only_model_is_named(refused: Any, models: Path) -> None:
    member = next(models.glob("*/members/*.npz"))
    data = bytearray(member.read_bytes())
    data[100] ^= 1
    member.write_bytes(data)
    line = refused()
    assert f"members/{member.name} is not what was published" in line
    assert line.endswith("[NO_MODEL]")


def test_a_damaged_journal_is_named_and_left_alone(refused: Any, tmp_path: Path) -> None:
    journal = tmp_path / "history" / "journal.sqlite3"
    journal.parent.mkdir()
    journal.write_bytes(b"not a database, but long enough to be looked at" * 100)
    line = refused()
    assert str(journal) in line
    assert line.endswith("[HISTORY_CORRUPT]")
    assert journal.read_bytes().startswith(b"not a database")


def test_a_history_that_cannot_be_written_is_named(refused: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert refused("--history", str(tmp_path / "file")).endswith("[HISTORY_NOT_WRITABLE]")


def test_a_bad_setting_is_named(refused: Any) -> None:
    line = refused(status=MISCONFIGURED, RT_PREDICTOR_DEFAULT_RISK="2")
    assert "RT_PREDICTOR_DEFAULT_RISK" in line
    assert line.endswith("[SETTING_INVALID]")
    line = refused(status=MISCONFIGURED, RT_PREDICTOR_REDIS_URL="http://user:secret@host")
    assert "RT_PREDICTOR_REDIS_URL: no address of a Redis" in line
    assert "secret" not in line


def test_a_service_told_to_wait_serves_when_a_model_appears(
    start: Any, models: Path, tmp_path: Path, publish: Any, until: Any, job: Any
) -> None:
    service = start("--wait-for-model", RT_PREDICTOR_MODELS=str(tmp_path / "later"))
    assert service.status() == "NOT_SERVING"
    publish(next(models.iterdir()), tmp_path / "later")
    until(lambda: service.status() == "SERVING", "the model")
    assert service.prediction.Predict(PredictRequest(job=job())).forecast.median_seconds > 0


def test_the_log_tells_of_calls_without_telling_who_called(start: Any, job: Any, event: Any) -> None:
    service = start(RT_PREDICTOR_REQUEST_LOG_LEVEL="info")
    service.prediction.Predict(PredictRequest(job=job(user="zuse_konrad")))
    service.report(event(1, user="zuse_konrad"))
    assert service.end() == 0
    calls = [line for line in service.lines() if line["event"] == "call"]
    assert [(line["rpc"], line["code"]) for line in calls] == [("Predict", "OK"), ("ReportJobs", "OK")]
    assert "zuse" not in str(service.lines())


def test_the_launcher_in_the_folder_is_the_command(environment: dict[str, str]) -> None:
    outputs = {
        subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.split("\n", 1)[1]
        for command in (
            [sys.executable, str(ROOT / "src" / "service" / "server.py"), "--help"],
            [sys.executable, "-m", "rt_predictor_api", "--help"],
        )
    }
    (text,) = outputs
    assert "--models" in text


def test_the_script_generates_the_stubs_through_the_one_generator(tmp_path: Path) -> None:
    copy = tmp_path / "checkout"
    shutil.copytree(ROOT / "scripts", copy / "rt-predictor-api" / "scripts")
    shutil.copytree(ROOT.parent / "proto", copy / "proto", ignore=shutil.ignore_patterns("src", "tests", ".*"))
    subprocess.run(
        [str(copy / "rt-predictor-api" / "scripts" / "generate_proto.sh")],
        env=os.environ | {"PYTHON": sys.executable},
        check=True,
        capture_output=True,
    )
    assert (copy / "proto" / "src" / "rtpredictor" / "v1" / "job_pb2.py").is_file()
