"""The whole line: a log becomes a model, the service answers, learns, forgets nothing, and says what core says."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import numpy as np
import pytest
from free_ports import free_port

from rt_predictor_core.artifact.load import newest
from rt_predictor_core.requests import Requests
from rtpredictor.v1 import prediction_service_pb2, prediction_service_pb2_grpc

if TYPE_CHECKING:
    from conftest import MakeMessage, Server

Example = dict[str, str | float | None]
HOUR = 3600
TEXTS = ("name", "account", "partition")


def report_two(server: Server, example: Example, run_time: int) -> dict[str, int]:
    """Report two finished jobs like the example, which ran for ``run_time`` seconds; return what became of them."""
    now = int(time.time())
    totals = {"accepted": 0, "duplicates": 0}
    for number in range(2):
        start = now - 2 * HOUR - run_time - number
        done = server.rtp(
            *("report", "--job-id", f"e2e-{number}", "--user", str(example["user"])),
            *("--submit", str(start - 60), "--start", str(start), "--end", str(start + run_time)),
            *("--state", "COMPLETED", "--time", f"{round(float(example['wallclock_req'] or HOUR) / 60)}"),
            *(f"--{name}={example[name]}" for name in TEXTS if example.get(name)),
            "--json",
        )
        assert done.returncode == 0, done.stderr + done.stdout
        answer = json.loads(done.stdout)
        totals = {name: totals[name] + answer[name] for name in totals}
    return totals


def test_two_reported_jobs_change_the_forecast_and_survive_a_kill(
    server: Server, script: Path, example: Example
) -> None:
    user = str(example["user"])
    before = server.forecast(script, user)
    assert before["tier"] != "none"

    # nothing like what the user's jobs did so far
    unlike = max(60, round(float(str(before["median_seconds"])) / 20))
    assert report_two(server, example, unlike) == {"accepted": 2, "duplicates": 0}
    after = server.forecast(script, user)
    assert after["median_seconds"] != before["median_seconds"]
    assert int(str(after["history_jobs"])) >= 2

    server.kill()
    server.start()
    again = server.forecast(script, user)
    assert again["history_jobs"] == after["history_jobs"]
    assert again["tier"] == after["tier"]
    # what was learned is no longer as fresh by the seconds of the restart
    assert again["median_seconds"] == pytest.approx(after["median_seconds"], rel=0.05)


def test_a_job_reported_twice_counts_once_even_over_a_kill(server: Server, script: Path) -> None:
    now = int(time.time())
    job = ("report", "--job-id", "17", "--user", "newcomer", "--submit", str(now - 900), "--start", str(now - 800))
    job = (*job, "--end", str(now - 500), "--state", "COMPLETED", "--json")
    assert json.loads(server.rtp(*job).stdout)["accepted"] == 1
    assert json.loads(server.rtp(*job).stdout)["duplicates"] == 1
    server.kill()
    server.start()
    assert json.loads(server.rtp(*job).stdout)["duplicates"] == 1
    assert server.forecast(script, "newcomer")["history_jobs"] == 1


def test_a_user_without_history_is_said_to_have_none(lasting_server: Server, script: Path) -> None:
    forecast = lasting_server.forecast(script, "nobody-has-this-name")
    assert forecast["tier"] == "none"
    assert forecast["history_jobs"] == 0
    assert forecast["degraded"] is None


def test_the_service_says_the_number_that_core_computes(
    lasting_server: Server, models: Path, example: Example, request_message: MakeMessage
) -> None:
    artifact = newest(models)
    submit = artifact.manifest.last_submit + HOUR
    with grpc.insecure_channel(lasting_server.address) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        request = prediction_service_pb2.PredictRequest(job=request_message(example, submit))
        answer = stub.Predict(request, timeout=10).forecast
    requests = Requests.from_rows([{**example, "submit_time": submit}])
    own = artifact.forecaster.forecast(requests, artifact.history().read(requests))
    assert answer.model_version == artifact.manifest.version
    assert [quantile.level for quantile in answer.quantiles] == pytest.approx(list(own.levels))
    np.testing.assert_array_equal([quantile.seconds for quantile in answer.quantiles], own.quantiles[0])
    assert answer.median_seconds == own.median[0]
    assert answer.history_jobs == own.jobs[0]


def test_what_is_left_of_a_running_job_begins_with_its_forecast_and_ends_at_its_limit(
    lasting_server: Server, script: Path, example: Example
) -> None:
    user, now = str(example["user"]), str(int(time.time()))
    told = []
    for elapsed in ("0:00", "1:00", "366-0"):
        # one moment for all: the forecast knows the hour and the day
        asked = ("remaining", str(script), "--user", user, "--submit", now, "--elapsed", elapsed, "--json")
        done = lasting_server.rtp(*asked)
        assert done.returncode == 0, done.stderr
        told.append(json.loads(done.stdout)["forecast"])
    begun, running, late = told
    assert begun["median_seconds"] == pytest.approx(lasting_server.forecast(script, user)["median_seconds"], rel=0.05)
    assert running["median_seconds"] + 60 >= begun["median_seconds"]
    assert (late["median_seconds"], late["at_limit"]) == (0.0, True)


def forecasts(metrics: str) -> float:
    """Return how many forecasts were made, over all labels."""
    return sum(
        float(line.split()[-1]) for line in metrics.splitlines() if line.startswith("rtpredictor_forecasts_total")
    )


def test_forecasts_are_counted_where_prometheus_looks(lasting_server: Server, script: Path) -> None:
    before = forecasts(lasting_server.metrics())
    lasting_server.forecast(script, "anyone")
    assert forecasts(lasting_server.metrics()) == before + 1


def test_a_term_signal_ends_the_service_with_status_zero(server: Server) -> None:
    assert server.stop() == 0


def test_a_client_without_a_service_names_the_address(command: Callable[..., object], script: Path) -> None:
    port = free_port()
    done = command("rtp", "predict", script, "--user", "u", RT_PREDICTOR_ADDRESS=f"localhost:{port}")
    assert done.returncode != 0
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert str(port) in done.stderr
