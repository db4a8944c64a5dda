"""Figures from the text that the service's own table of metrics gives."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest, start_http_server

from rt_predictor_api import metrics
from rt_predictor_api.metrics import Metrics
from rt_predictor_ui.analytics.fetch import NotTold
from rt_predictor_ui.analytics.scraped import LEAST_SECONDS, WINDOW_SECONDS, Reading, Scraper, Span, figures, quantile


def read(told: Metrics, at: float) -> Reading:
    return Reading.of_text(generate_latest(told.registry).decode(), at)


def ask(told: Metrics, calls: int, seconds: float, code: str = "OK") -> None:
    told.count(metrics.REQUESTS, "Predict", code, by=calls)
    told.observe(metrics.REQUEST_SECONDS, "Predict", values=[seconds] * calls)


def test_rates_are_those_between_two_readings() -> None:
    told = Metrics()
    ask(told, 1000, 0.5)
    before = read(told, 100.0)
    ask(told, 90, 0.003)
    ask(told, 10, 0.003, "INTERNAL")
    told.count(metrics.FORECAST_CACHE, "hit", by=3)
    told.count(metrics.FORECAST_CACHE, "miss", by=1)
    now = figures(Span(before, read(told, 110.0)))
    assert now.window_seconds == 10
    assert now.calls_per_second == 10
    assert now.failed_share == pytest.approx(0.1)
    assert now.cache_hits == 0.75
    median, *_ = now.one_job
    assert median is not None
    assert 0.002 < median < 0.005, "the calls before the first reading took longer and do not count"


def test_a_first_reading_tells_gauges_and_totals_alone() -> None:
    told = Metrics()
    ask(told, 5, 0.1)
    told.set(metrics.READY, to=1)
    told.set(metrics.MODEL_INFO, "v1", "quick", to=1)
    told.set(metrics.MODEL_INFO, "v2", "standard", to=1)
    told.count(metrics.LEARNED, "ended", by=4)
    told.observe(metrics.LIVE_ERROR, "earlier", values=[3600, 7200])
    told.count(metrics.LIVE_ENDS, "earlier", "inside")
    told.count(metrics.LIVE_ENDS, "earlier", "above")
    reading = read(told, 50.0)
    now = figures(Span(Reading(50.0, {}), reading))
    assert (now.window_seconds, now.calls_per_second, now.failed_share) == (None, None, None)
    assert (now.ready, now.version, now.profile) == (True, "v2", "standard")
    assert (now.ended, now.compared, now.mae_hours, now.coverage) == (4, 2, 1.5, 0.5)
    assert now.drift == {}


def test_what_an_exposition_lacks_is_not_told() -> None:
    now = figures(Span(Reading(0, {}), Reading.of_text("other_metric 1\n", 1.0)))
    assert (now.ready, now.ended, now.compared, now.version) == (None, None, None, "")


def test_drift_is_told_by_feature() -> None:
    text = 'rtpredictor_feature_drift{feature="nodes"} 0.3\nrtpredictor_feature_drift{feature="hour"} 0.01\n'
    assert figures(Span(Reading(0, {}), Reading.of_text(text, 1.0))).drift == {"nodes": 0.3, "hour": 0.01}


@given(st.lists(st.floats(0.001, 59), min_size=1, max_size=40), st.floats(0.01, 0.99))
def test_a_quantile_lies_in_the_bucket_of_the_true_one(values: list[float], level: float) -> None:
    bounds = [*metrics.CALL_SECONDS, math.inf]
    counts = [(float(bound), float(sum(value <= bound for value in values))) for bound in bounds]
    found = quantile(level, counts)
    true = sorted(values)[max(0, math.ceil(level * len(values)) - 1)]
    upper = next(bound for bound in bounds if true <= bound)
    lower = max((bound for bound in (0, *bounds) if bound < true), default=0)
    assert found is not None
    assert lower <= found <= upper


def test_a_quantile_above_all_bounds_is_the_last_of_them_and_of_nothing_none() -> None:
    assert quantile(0.5, [(1.0, 0.0), (math.inf, 3.0)]) == 1.0
    assert quantile(0.5, [(1.0, 0.0), (math.inf, 0.0)]) is None
    assert quantile(0.5, []) is None


@pytest.fixture
def served() -> Iterator[tuple[Metrics, str]]:
    told = Metrics()
    server, thread = start_http_server(0, "127.0.0.1", told.registry)
    yield told, f"http://127.0.0.1:{server.server_port}/metrics"
    server.shutdown()
    server.server_close()
    thread.join(10)


def test_many_pages_cost_one_scrape(served: tuple[Metrics, str]) -> None:
    told, url = served
    clock = [1000.0]
    scraper = Scraper(url, now=lambda: clock[0])
    ask(told, 1, 0.1)
    scraper.look()
    ask(told, 8, 0.1)
    clock[0] += LEAST_SECONDS / 2
    assert scraper.look().figures.calls_per_second is None
    clock[0] += LEAST_SECONDS / 2
    look = scraper.look()
    assert look.figures.calls_per_second == 8 / LEAST_SECONDS
    assert [point.calls_per_second for point in look.trend] == [8 / LEAST_SECONDS]


def test_rates_are_of_the_window_and_begin_anew_with_the_service(served: tuple[Metrics, str]) -> None:
    told, url = served
    clock = [1000.0]
    scraper = Scraper(url, now=lambda: clock[0])
    ask(told, 500, 0.1)
    scraper.look()
    clock[0] += WINDOW_SECONDS
    scraper.look()
    clock[0] += WINDOW_SECONDS
    ask(told, 30, 0.1)
    now = scraper.look().figures
    assert (now.window_seconds, now.calls_per_second) == (WINDOW_SECONDS, 30 / WINDOW_SECONDS)
    told._collectors[metrics.REQUESTS.name].clear()  # as the process of after a restart would tell
    clock[0] += 10
    assert scraper.look().figures.window_seconds is None


def test_a_service_that_is_away_or_tells_no_metrics_is_named(served: tuple[Metrics, str], tmp_path: Any) -> None:
    _, url = served
    with pytest.raises(NotTold) as nobody:
        Scraper("http://127.0.0.1:1/metrics").look()
    assert (nobody.value.code, nobody.value.place) == ("METRICS_UNREADABLE", "http://127.0.0.1:1/metrics")
    with pytest.raises(NotTold):
        Scraper(url.replace("http:", "https:")).look()
    with pytest.raises(NotTold):
        Scraper(url.replace("http:", "https:"), str(tmp_path / "no.pem")).look()
