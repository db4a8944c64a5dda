"""A real Prometheus scrapes the real service: its rules can be evaluated, and every panel has something to show."""

from __future__ import annotations

import itertools
import json
import math
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import grpc
import pytest
import yaml
from free_ports import free_port

import monitored
from rt_predictor_client import Client
from rt_predictor_ui.analytics import prometheus as page
from rtpredictor.v1 import prediction_service_pb2, prediction_service_pb2_grpc

if TYPE_CHECKING:
    from conftest import MakeMessage, Server

Example = dict[str, Any]
DEADLINE = 120.0
"""How long a figure may take to be there [s]: some scrapes and evaluations."""
HOUR = 3600


@dataclass
class Prometheus:
    """Prometheus with the configuration and the rules of the repository, but every second and on ports of its own."""

    folder: Path
    port: int
    target: str

    @property
    def log(self) -> Path:
        """What it writes."""
        return self.folder / "prometheus.log"

    @contextmanager
    def running(self) -> Iterator[Prometheus]:
        """Run it while the block lasts."""
        command = [
            monitored.program("prometheus"),
            f"--config.file={self._configured()}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]
        with self.log.open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            until(self._answers, lambda: self.log.read_text(encoding="utf-8")[-2000:])
            yield self
        finally:
            process.terminate()
            process.wait(timeout=60)

    def get(self, what: str, **parameters: str) -> Any:
        """Return what the HTTP API says."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{what}?{urlencode(parameters)}"
        with urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def shows(self, query: str) -> bool:
        """Tell whether a query gives a number."""
        values = [float(one["value"][1]) for one in self.get("query", query=query)["result"]]
        return any(not math.isnan(value) for value in values)

    def rules(self) -> list[dict[str, Any]]:
        """Return all rules as they are evaluated."""
        return [rule for group in self.get("rules")["groups"] for rule in group["rules"]]

    def _configured(self) -> Path:
        config = yaml.safe_load((monitored.MONITORING / "prometheus.yml").read_text(encoding="utf-8"))
        config["global"] |= {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
        own = {"rt-predictor-api": self.target, "prometheus": f"127.0.0.1:{self.port}"}
        assert {job["job_name"] for job in config["scrape_configs"]} == own.keys()
        for job in config["scrape_configs"]:
            job["static_configs"] = [{"targets": [own[job["job_name"]]]}]
        (self.folder / "rules").mkdir()
        (pattern,) = config["rule_files"]
        found = sorted(monitored.MONITORING.glob(pattern))
        assert found
        for path in found:
            rules = yaml.safe_load(path.read_text(encoding="utf-8"))
            for group in rules["groups"]:
                group.pop("interval", None)
            (self.folder / "rules" / path.name).write_text(yaml.safe_dump(rules), encoding="utf-8")
        path = self.folder / "prometheus.yml"
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        return path

    def _answers(self) -> bool:
        try:
            return bool(self.get("status/runtimeinfo"))
        except URLError:
            return False


def until(holds: Callable[[], bool], otherwise: Callable[[], str]) -> None:
    """Poll until something holds; fail with a text after the deadline."""
    end = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < end, otherwise()
        time.sleep(0.2)


@dataclass
class Traffic:
    """What callers do in a day, again and again: forecasts of all kinds, bad rows, reports of what waits and ended."""

    server: Server
    job: Example
    message: MakeMessage

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Make calls while the block lasts; raises what one of them raised."""
        stop, failed = Event(), list[Exception]()

        def flow() -> None:
            try:
                with Client(self.server.address, timeout_seconds=60) as client:
                    for number in itertools.count():
                        if stop.wait(0.05):
                            return
                        self._once(client, number)
            except Exception as error:  # noqa: BLE001 - it is told after the block
                failed.append(error)

        thread = Thread(target=flow)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
        assert failed == []

    def _once(self, client: Client, number: int) -> None:
        submit = int(time.time()) - HOUR
        told = {**self.job, "submit_time": submit, "job_id": f"asked-{number}"}
        client.predict(told)
        client.predict(self.job)
        client.predict_remaining(self.job, 60)
        list(client.predict_many([self.job] * 3))
        over = {"start_time": submit + 60, "end_time": submit + 600 + number % 100, "state": "COMPLETED"}
        waits = {**self.job, "submit_time": submit, "job_id": f"waits-{number}"}
        client.report([waits, told | over, told | over | {"job_id": f"untold-{number}"}])
        self._with_a_bad_row(submit)

    def _with_a_bad_row(self, submit: int) -> None:
        bad = self.message({**self.job, "nodes_req": 0}, submit)
        with grpc.insecure_channel(self.server.address) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            stub.PredictBatch(prediction_service_pb2.PredictBatchRequest(jobs=[self.message(self.job, submit), bad]))


@pytest.fixture
def prometheus(server: Server, example: Example, request_message: MakeMessage) -> Iterator[Prometheus]:
    """Return a Prometheus that sees a service with traffic."""
    monitored.program("prometheus")
    known = {name: value for name, value in example.items() if value not in {None, ""}}
    job = {name: value for name, value in known.items() if name not in {"job_id", "submit_time"}}
    folder = server.folder / "prometheus"
    folder.mkdir()
    made = Prometheus(folder, free_port(), f"127.0.0.1:{server.metrics_port}")
    with Traffic(server, job, request_message).flowing(), made.running():
        yield made


def test_the_analytics_page_is_told_each_figure(prometheus: Prometheus) -> None:
    job = "rt-predictor-api"
    waiting = set(page.NOW)

    def all_show() -> bool:
        waiting.difference_update(
            {name for name in waiting if prometheus.shows(page.together({name: page.NOW[name]}, job))}
        )
        return not waiting

    until(all_show, lambda: f"not told: {waiting}")

    def drawn() -> bool:
        trend = page.look(f"http://127.0.0.1:{prometheus.port}", job).trend
        return any(None not in (point.calls_per_second, *point.durations) for point in trend)

    until(drawn, lambda: "nothing of the last hour")
    now = page.look(f"http://127.0.0.1:{prometheus.port}", job).figures
    assert {"Predict", "PredictStream", "ReportJobs"} <= now.methods.keys()
    assert None not in now.one_job
    assert (now.ready, bool(now.version)) == (True, True)


def test_every_panel_has_data_every_rule_works_and_no_alert_cries(prometheus: Prometheus) -> None:
    waiting = [
        (name, panel["title"], target["expr"].replace("$__rate_interval", "1m"))
        for name, dashboard in monitored.dashboards().items()
        for panel in monitored.panels(dashboard)
        for target in panel["targets"]
    ]

    def all_show() -> bool:
        waiting[:] = [one for one in waiting if not prometheus.shows(one[2])]
        return not waiting

    assert len(waiting) > len(monitored.dashboards())
    until(all_show, lambda: f"without data: {waiting}")

    def evaluated() -> bool:
        return all(rule["health"] != "unknown" for rule in prometheus.rules())

    until(evaluated, lambda: "rules were not evaluated")
    rules = prometheus.rules()
    assert len(rules) == len(monitored.rules())
    assert [(rule["name"], rule["lastError"]) for rule in rules if rule["health"] != "ok"] == []
    assert [rule["name"] for rule in rules if rule.get("state", "inactive") == "firing"] == []
