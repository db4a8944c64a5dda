"""Figures from what Prometheus's HTTP API answers, over HTTP. tests/e2e asks a real Prometheus the same queries."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest

from rt_predictor_ui.analytics.fetch import NotTold
from rt_predictor_ui.analytics.prometheus import NOW, TREND, look, together


class Answers:
    """What the peer answers by path, and what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, list[str]]]] = []
        self.status = 200
        self.now: list[Any] = []
        self.hour: list[Any] = []
        self.raw: bytes | None = None


@pytest.fixture
def peer() -> Iterator[tuple[Answers, str]]:
    answers = Answers()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            answers.asked.append((self.path, parse_qs(body)))
            result = answers.hour if self.path.endswith("query_range") else answers.now
            content = answers.raw or json.dumps({"status": "success", "data": {"result": result}}).encode()
            self.send_response(answers.status)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield answers, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(10)


def sample(figure: str, value: float | str, **labels: str) -> dict[str, Any]:
    return {"metric": {"figure": figure, **labels}, "value": [1.0, str(value)]}


def test_figures_and_the_last_hour_are_read(peer: tuple[Answers, str]) -> None:
    answers, url = peer
    answers.now = [
        sample("ready", 1),
        sample("calls", 2.5, rpc="Predict"),
        sample("calls", 0.5, rpc="GetModel"),
        sample("p95", 0.004, rpc="Predict"),
        sample("p95", "NaN", rpc="GetModel"),
        sample("model", 1, version="v", profile="quick"),
        sample("error", 7200),
        sample("drift", 0.2, feature="nodes"),
    ]
    answers.hour = [
        {"metric": {"figure": "calls"}, "values": [[30, "1"], [60, "2"]]},
        {"metric": {"figure": "p50", "rpc": "Predict"}, "values": [[60, "0.002"]]},
    ]
    found = look(url + "/", "rt")
    now = found.figures
    assert now.calls_per_second == 3
    assert now.one_job == (None, 0.004, None)
    assert now.methods["GetModel"].durations == (None, None, None)
    assert (now.ready, now.version, now.profile, now.mae_hours, now.drift) == (True, "v", "quick", 2, {"nodes": 0.2})
    assert (now.coverage, now.cache_hits) == (None, None)
    assert [(point.at, point.calls_per_second, point.durations[0]) for point in found.trend] == [
        (30, 1, None),
        (60, 2, 0.002),
    ]
    assert [path for path, _ in answers.asked] == ["/api/v1/query", "/api/v1/query_range"]


def test_the_job_stands_in_every_selector_and_cannot_break_out_of_it() -> None:
    query = together({**NOW, **TREND}, 'a"} or up{x="')
    assert query.count('{job="a\\"} or up{x=\\""') >= len(NOW) + len(TREND) - 2
    assert "{J" not in query


@pytest.mark.parametrize(("status", "raw"), [(503, b""), (200, b"<html>"), (200, b'{"data": []}'), (302, b"")])
def test_what_is_no_answer_is_named(peer: tuple[Answers, str], status: int, raw: bytes) -> None:
    answers, url = peer
    answers.status, answers.raw = status, raw or b"x"
    with pytest.raises(NotTold) as caught:
        look(url, "rt")
    assert caught.value.code == "METRICS_UNREADABLE"
    assert caught.value.place.startswith(url)
