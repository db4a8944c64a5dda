"""The services in containers, end to end: what the quickstart made of a real log is asked, trained anew, stopped."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from rt_predictor_client import Forecast
from stacks import JOB, TAG, Stack, docker, ended, eventually, fetched, load

pytestmark = [pytest.mark.compose, pytest.mark.timeout(1500)]

SERVICES = ("training", "api", "ui")
UP = 'up{job="rt-predictor-api",instance="api:8181"}'
LOOK = """
import os, pathlib
print(os.getuid())
for folder in ("bin", "sbin", "usr/bin", "usr/sbin", "usr/local/bin", "usr/local/sbin"):
    print(*(path.name for path in pathlib.Path("/", folder).glob("*")))
"""
"""Prints the user, and each program outside of our environment."""
LASTING = ("api", "ui", "prometheus", "alertmanager")


ASKED_AS_OF = 1_700_100_000
"""The time of day moves a forecast, and so does how long ago the last job ended [s since 1970]."""


def predicted(stack: Stack, user: str) -> Forecast:
    with stack.client() as client:
        return client.predict({**JOB, "user": user, "submit_time": ASKED_AS_OF})


def test_the_quickstart_ends_with_a_forecast_and_the_addresses(stack: Stack) -> None:
    said = (stack.folder / "quickstart.txt").read_text(encoding="utf-8")
    assert re.findall(r"^\[(\d)/5\]", said, re.MULTILINE) == ["1", "2", "3", "4", "5"]
    assert re.search(r"^recommended +--time=", said, re.MULTILINE)
    ports = (stack.port, stack.ui_port, stack.metrics_port, stack.prometheus_port, stack.alertmanager_port)
    for port in ports:
        assert f"localhost:{port}" in said


def test_each_service_is_healthy(stack: Stack) -> None:
    def healths() -> dict[str, str]:
        look = "{{.State.Health.Status}}"
        return {name: docker("inspect", "-f", look, stack.container(name)) for name in LASTING}

    eventually(healths, lambda seen: set(seen.values()) == {"healthy"})


def test_rtp_asks_the_published_port(stack: Stack, tmp_path: Path) -> None:
    job = tmp_path / "job.sh"
    job.write_text("#!/bin/bash\n#SBATCH --time=04:00:00 --nodes=1 --ntasks=4\nsrun ./model\n", encoding="utf-8")
    done = stack.rtp("predict", str(job), "--user", "nobody-yet", "--json")
    assert done.returncode == 0, done.stderr
    forecast = json.loads(done.stdout)["forecast"]
    assert 0 < forecast["lower_seconds"] <= forecast["median_seconds"] <= forecast["upper_seconds"]
    assert forecast["model_version"] == stack.versions()[-1]


def test_prometheus_sees_the_metrics_of_the_api(stack: Stack) -> None:
    predicted(stack, "nobody-yet")
    eventually(lambda: stack.query(f"{UP} == 1"))
    eventually(lambda: stack.query("rtpredictor_forecasts_total > 0"))


def test_the_page_knows_the_service(stack: Stack) -> None:
    assert "<title>" in fetched(f"http://localhost:{stack.ui_port}/")
    assert "The service answers" in stack.page()


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_runs_without_root_and_holds_no_program_of_the_system_but_python(stack: Stack, service: str) -> None:
    image = f"rt-predictor-{service}:{TAG}"
    user, *programs = docker("run", "--rm", "--network", "none", "--entrypoint", "python", image, "-c", LOOK).split()
    assert user == "10001"
    assert programs
    assert [name for name in programs if not name.startswith("python3")] == []
    labels = json.loads(docker("image", "inspect", "-f", "{{json .Config.Labels}}", image))
    assert labels["org.opencontainers.image.title"] == f"rt-predictor-{service}"
    assert stack.containers()


@pytest.mark.parametrize("service", LASTING)
def test_a_container_may_do_no_more_than_it_must(stack: Stack, service: str) -> None:
    (found,) = json.loads(docker("inspect", stack.container(service)))
    host = found["HostConfig"]
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["Memory"] > 0
    assert host["PidsLimit"] > 0
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    assert found["Config"]["User"] not in {"", "root", "0"}


def test_training_anew_under_load_fails_not_one_call(stack: Stack) -> None:
    before = stack.versions()

    def refused() -> float:
        return sum(
            value
            for series, value in stack.metrics().items()
            if series.startswith("rtpredictor_requests_total{") and 'code="OK"' not in series
        )

    refusals = refused()
    with stack.client() as client:
        seen: set[str] = set()
        with load(lambda number: seen.add(client.predict({**JOB, "user": f"user{number}"}).model_version)) as calls:
            stack.made("train")
            (new,) = set(stack.versions()) - set(before)
            eventually(lambda: seen, lambda versions: new in versions)
            calls.goes_on()
    assert calls.failed == []
    assert refused() == refusals, "what the client had tried again"
    assert seen == {before[-1], new}


@pytest.mark.parametrize("how", [("restart",), ("stop", "start")], ids=" ".join)
def test_stopping_and_starting_keeps_the_model_and_what_was_reported(stack: Stack, how: tuple[str, ...]) -> None:
    user = "-".join(how)
    before = predicted(stack, user)
    with stack.client() as client:
        assert client.report([ended(f"{user}{number}", user) for number in range(3)]).accepted == 3
    learned = predicted(stack, user)
    assert learned.median_seconds != before.median_seconds
    assert learned.history_jobs == 3
    for target in how:
        stack.made(target)
    assert predicted(stack, user) == learned


def test_starting_again_changes_nothing(stack: Stack) -> None:
    before = sorted(stack.containers())
    stack.made("start")
    assert sorted(stack.containers()) == before


def test_training_on_a_broken_log_is_one_line_and_leaves_the_model_alone(stack: Stack, tmp_path: Path) -> None:
    broken = tmp_path / "log.csv"
    broken.write_text("a,b\n1,2\n", encoding="utf-8")
    before = stack.versions()
    done = stack.make("train", DATA=str(broken))
    assert done.returncode != 0
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done.stderr
    assert "log.csv" in errors[0]
    assert "Traceback" not in done.stderr + done.stdout
    assert stack.versions() == before


def test_an_api_that_is_gone_is_an_alert_of_alertmanager(stack: Stack) -> None:
    def told() -> list[dict[str, str]]:
        alerts = [alert for alert in stack.alerts() if alert["labels"].get("instance") == "api:8181"]
        return [{"alert": alert["labels"]["alertname"], "to": alert["receivers"][0]["name"]} for alert in alerts]

    eventually(lambda: stack.query(f"{UP} == 1"))
    api = stack.container("api")
    docker("stop", api)
    try:
        eventually(told, lambda seen: {"alert": "RtPredictorDown", "to": "pages"} in seen, seconds=240)
    finally:
        docker("start", api)
        stack.made("start")
    firing = 'ALERTS{alertname="RtPredictorDown",alertstate="firing"}'
    eventually(lambda: stack.query(firing), lambda seen: not seen)


def test_the_configuration_of_alertmanager_passes_its_own_check(stack: Stack) -> None:
    said = docker(
        "exec", stack.container("alertmanager"), "amtool", "check-config", "/etc/alertmanager/alertmanager.yml"
    )
    assert "SUCCESS" in said


def test_compose_alone_starts_the_same(stack: Stack) -> None:
    before = sorted(stack.containers())
    done = stack.compose("up", "-d", "--no-build")
    assert done.returncode == 0, done.stderr
    assert sorted(stack.containers()) == before
