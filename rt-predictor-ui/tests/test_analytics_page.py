"""The page of live figures, through its launcher, with metrics told over HTTP."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from prometheus_client import Metric, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from streamlit.testing.v1 import AppTest

from rt_predictor_api import metrics
from rt_predictor_api.metrics import Metrics
from rt_predictor_ui.analytics import scraped

Words = Callable[[AppTest], str]


class Drifted(Collector):
    """Drift as the service tells it."""

    def collect(self) -> Iterator[Metric]:
        told = GaugeMetricFamily(metrics.FEATURE_DRIFT.name, "Drift.", labels=metrics.FEATURE_DRIFT.labels)
        told.add_metric(["nodes_req"], 0.31)
        told.add_metric(["hour"], 0.02)
        yield told


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[Metrics]:
    """Yield metrics that the service tells."""
    monkeypatch.setattr(scraped, "LEAST_SECONDS", 0.0)
    metrics_of = Metrics()
    server, thread = start_http_server(0, "127.0.0.1", metrics_of.registry)
    monkeypatch.setenv("RT_PREDICTOR_METRICS_URL", f"http://127.0.0.1:{server.server_port}/metrics")
    yield metrics_of
    server.shutdown()
    server.server_close()
    thread.join(10)


def states(page: AppTest) -> dict[str, str]:
    table = next(element.value for element in page.get("table") if "What" in element.value.columns)
    return dict(zip(table["What"], table["Now"], strict=True))


def figures(page: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in page.metric}


def test_rates_are_there_with_the_second_look(told: Metrics, show: Any, words: Words) -> None:
    page = show("analytics")
    assert "Rates need a second reading" in words(page)
    assert figures(page)["Calls"] == "not told"
    told.count(metrics.REQUESTS, "Predict", "OK", by=100)
    told.observe(metrics.REQUEST_SECONDS, "Predict", values=[0.003] * 100)
    told.count(metrics.FORECAST_CACHE, "hit", by=1)
    told.count(metrics.FORECAST_CACHE, "miss", by=1)
    page.run()
    shown = figures(page)
    assert shown["Calls"].endswith("/s")
    assert (shown["Failed"], shown["Cache hits"]) == ("0 %", "50 %")
    assert shown["One job, p50"].endswith(" ms")
    said = [json.loads(chart.proto.spec)["description"] for chart in page.get("vega_lite_chart")]
    assert said[0].startswith("Calls a second over ")
    assert "Duration p99 over " in said[1]


def test_the_state_of_the_service_and_of_the_breakers_is_told(told: Metrics, show: Any) -> None:
    told.set(metrics.READY, to=1)
    told.set(metrics.MODEL_INFO, "20260101T000000Z-00000000", "quick", to=1)
    told.set(metrics.MODEL_CREATED, to=time.time() - 5 * 86400)
    shown = states(show("analytics"))
    assert shown["Takes calls"] == "yes"
    assert shown["Model"] == "20260101T000000Z-00000000 quick"
    assert shown["Age of the model"] == "5 d"
    assert shown["Breaker of these pages"] == "closed"
    assert shown["Newest reports"] == "not told"


def test_forecasts_without_history_are_seen(told: Metrics, show: Any) -> None:
    page = show("analytics")
    told.count(metrics.FORECASTS, "none", by=4)
    told.count(metrics.DEGRADED, "history_unavailable", by=1)
    assert states(page.run())["Newest reports"] == "unavailable for 25 %"


def test_live_scores_stand_beside_those_of_training(told: Metrics, show: Any, words: Words) -> None:
    assert "No job that ended was reported since the service started" in words(show("analytics"))
    told.count(metrics.LEARNED, "ended", by=10)
    told.observe(metrics.LIVE_ERROR, "earlier", values=[7200] * 8)
    told.count(metrics.LIVE_ENDS, "earlier", "inside", by=6)
    told.count(metrics.LIVE_ENDS, "at_end", "above", by=2)
    page = show("analytics")
    assert "10 ends reported since the service started, 8 of them compared" in words(page)
    table = next(element.value for element in page.get("table") if "Live" in element.value.columns)
    assert list(table["Live"]) == ["2.00 h", "75 %"]
    assert list(table["Measured in training"]) == ["1.50 h", "91 %"]


def test_drift_is_shown_where_it_is_told(told: Metrics, show: Any, words: Words) -> None:
    assert "No drift is told" in words(show("analytics"))
    told.registry.register(Drifted())
    page = show("analytics")
    table = next(element.value for element in page.get("dataframe") if "Feature" in element.value.columns)
    assert list(zip(table["Feature"], table["Moved"], strict=True)) == [("nodes_req", "far"), ("hour", "no")]


def test_metrics_that_cannot_be_read_say_what_to_do(
    show: Any, words: Words, peer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert peer.port
    monkeypatch.setenv("RT_PREDICTOR_METRICS_URL", "http://127.0.0.1:1/metrics")
    said = words(show("analytics"))
    assert "Nothing answers" in said
    assert "RT_PREDICTOR_PROMETHEUS_URL" in said
    assert "There are no figures until" in said


def test_without_prometheus_the_service_itself_is_asked(
    told: Metrics, show: Any, words: Words, monkeypatch: pytest.MonkeyPatch
) -> None:
    told.set(metrics.READY, to=1)
    monkeypatch.setenv("RT_PREDICTOR_PROMETHEUS_URL", "http://127.0.0.1:1")
    page = show("analytics")
    assert "see that Prometheus runs" in words(page)
    assert states(page)["Takes calls"] == "yes"


def test_a_wrong_setting_is_named(show: Any, words: Words, peer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert peer.port
    monkeypatch.setenv("RT_PREDICTOR_PROMETHEUS_URL", "prometheus:9090")
    assert "RT_PREDICTOR_PROMETHEUS_URL" in words(show("analytics"))


def test_a_page_can_be_kept_from_moving(told: Metrics, show: Any, field: Any, words: Words) -> None:
    told.set(metrics.READY, to=1)
    page = show("analytics")
    field(page, "Refresh by itself").set_value(False).run()
    assert "Told by http://127.0.0.1" in words(page)
