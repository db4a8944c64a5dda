"""What is counted, under which names, and what is never told."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Counter, Histogram
from prometheus_client.parser import text_string_to_metric_families

from rt_predictor_api import metrics
from rt_predictor_api.live import LiveScores, Said
from rt_predictor_api.stores.remembered import Remembered
from rtpredictor.v1.prediction_service_pb2 import PredictBatchRequest, PredictRequest

TABLE = pytest.mark.parametrize("metric", metrics.TABLE, ids=lambda metric: metric.name)


def test_a_scrape_holds_every_metric_of_the_table(client: Any) -> None:
    families = {family.name: family for family in text_string_to_metric_families(client.scrape())}
    for metric in metrics.TABLE:
        family = families[metric.name.removesuffix("_total")]
        assert family.documentation == metric.help
        assert family.type == metric.kind.__name__.lower()
    assert "process_resident_memory_bytes" in families


def test_the_table_is_all_that_the_module_defines() -> None:
    defined = {value.name for value in vars(metrics).values() if isinstance(value, metrics.Metric)}
    assert defined == {metric.name for metric in metrics.TABLE}


@TABLE
def test_a_name_tells_what_is_counted(metric: metrics.Metric) -> None:
    assert re.fullmatch(r"rtpredictor(_[a-z]+)+", metric.name)
    assert metric.name.endswith("_total") == (metric.kind is Counter)
    assert metric.name.endswith("_seconds") or metric.kind is not Histogram
    assert metric.help.endswith(".")
    assert bool(metric.buckets) == (metric.kind is Histogram)


def test_calls_are_counted_by_status(served: Any, job: Any, refusal: Any) -> None:
    with served() as client:
        client.prediction.Predict(PredictRequest(job=job()))
        refusal(lambda: client.prediction.Predict(PredictRequest(job=job(nodes_req=0))))
        client.prediction.PredictBatch(PredictBatchRequest(jobs=[job(), job(nodes_req=0), job(wallclock_req=None)]))
        assert client.value('rtpredictor_requests_total{code="OK",rpc="Predict"}') == 1
        assert client.value('rtpredictor_requests_total{code="INVALID_ARGUMENT",rpc="Predict"}') == 1
        assert client.value('rtpredictor_request_duration_seconds_count{rpc="Predict"}') == 2
        assert client.value('rtpredictor_requests_in_flight{rpc="Predict"}') == 0
        assert client.value('rtpredictor_forecasts_total{tier="none"}') == 3
        assert client.value('rtpredictor_rows_rejected_total{rpc="PredictBatch"}') == 1
        assert client.value('rtpredictor_degraded_forecasts_total{reason="no_wallclock_requested"}') == 1
        assert client.value("rtpredictor_model_created_timestamp_seconds") > 1.7e9


def ends(client: Any) -> dict[str, float]:
    return {
        when: sum(
            client.value(f'rtpredictor_live_ends_total{{forecast="{when}",interval="{side}"}}')
            for side in ("below", "inside", "above")
        )
        for when in ("earlier", "at_end")
    }


def test_reported_ends_are_compared_with_what_was_said(served: Any, event: Any) -> None:
    with served() as client:
        asked = client.prediction.Predict(PredictRequest(job=event(1).job)).forecast
        client.report(event(1, run_time=600))
        assert ends(client) == {"earlier": 1, "at_end": 0}
        error = client.value('rtpredictor_live_absolute_error_seconds_sum{forecast="earlier"}')
        assert error == pytest.approx(abs(600 - asked.median_seconds))
        client.report(event(2, run_time=None))
        client.report(event(2))
        assert ends(client) == {"earlier": 2, "at_end": 0}
        client.report(event(3), event(4, run_time=0))
        assert ends(client) == {"earlier": 2, "at_end": 1}
        client.report(event(3), event(2), event(1))
        assert ends(client) == {"earlier": 2, "at_end": 1}, "a duplicate is compared once only"


def test_a_scrape_never_tells_who_asked(served: Any, job: Any, event: Any) -> None:
    secret = dict.fromkeys(("user", "account", "name", "partition", "qos"), "zuse_konrad")
    with served() as client:
        client.prediction.Predict(PredictRequest(job=job(**secret)))
        client.report(event(1, **secret))
        assert "zuse" not in client.scrape()


def test_the_oldest_forecasts_are_forgotten_first(event: Any, tmp_path: Path) -> None:
    from rt_predictor_api.convert import Reported

    counted = metrics.Metrics()
    memory = Remembered(tmp_path / "forecasts.sqlite3", 2)
    live = LiveScores(counted, memory)
    events = Reported().take([event(number) for number in (1, 2, 3)])
    said = Said(600.0, 500.0, 700.0, (500.0, 600.0, 700.0), 0, "v1")
    live.remember([((one.job_id, one.submit_time), said) for one in events])
    asked: list[str] = []

    def forecast(unknown: Any) -> list[Said]:
        asked.extend(one.job_id for one in unknown)
        return [Said(1.0, 0.0, 2.0, (0.0, 1.0, 2.0), 0, "v1")] * len(unknown)

    before = live.before(events, forecast)
    assert asked == ["1"]
    assert [earlier for _, earlier in before] == [False, True, True]
    live.learn(events, before, [True] * 3)
    memory.close()
    values = {
        (sample.labels["forecast"], sample.labels["interval"]): sample.value
        for family in counted.registry.collect()
        if family.name == "rtpredictor_live_ends"
        for sample in family.samples
    }
    assert (values["at_end", "above"], values["earlier", "inside"], sum(values.values())) == (1, 2, 3)
