"""One job over a real socket: the forecast, and what is said of a bad one."""

from __future__ import annotations

import math
import time
from typing import Any

import grpc
import pytest

from rt_predictor_core.artifact.load import load
from rt_predictor_core.requests import Requests
from rtpredictor.v1 import forecast_pb2
from rtpredictor.v1.prediction_service_pb2 import PredictRequest, PredictResponse

BAD = [
    ("wallclock_req", {"wallclock_req": 0}),
    ("wallclock_req", {"wallclock_req": 31_622_401}),
    ("nodes_req", {"nodes_req": 0}),
    ("nodes_req", {"nodes_req": 1_000_001}),
    ("processors_req", {"processors_req": 0}),
    ("processors_req", {"processors_req": 100_000_001}),
    ("gpus_req", {"gpus_req": 1_000_001}),
    ("mem_req", {"mem_req": -1.0}),
    ("mem_req", {"mem_req": math.nan}),
    ("mem_req", {"mem_req": math.inf}),
    ("submit_time", {"submit_time": -1}),
    ("submit_time", {"submit_time": 4_102_444_800}),
    *((name, {name: "x" * 257}) for name in ("user", "partition", "qos", "account", "job_id")),
    ("name", {"name": "x" * 1_025}),
    ("work_dir", {"work_dir": "x" * 4_097}),
    ("submit_line", {"submit_line": "x" * 16_385}),
]


def test_a_forecast_has_all_its_parts(client: Any, job: Any) -> None:
    forecast = client.prediction.Predict(PredictRequest(job=job())).forecast
    seconds = [quantile.seconds for quantile in forecast.quantiles]
    levels = [quantile.level for quantile in forecast.quantiles]
    assert seconds == sorted(seconds)
    assert levels == sorted(levels)
    assert forecast.median_seconds == seconds[levels.index(0.5)]
    assert forecast.interval.lower_seconds < forecast.median_seconds < forecast.interval.upper_seconds
    assert forecast.interval.nominal_coverage == 0.9
    assert seconds[0] / 2 < forecast.most_likely_seconds <= seconds[-1]
    assert forecast.recommended_wallclock.seconds % 60 == 0
    assert forecast.recommended_wallclock.risk == 0.1
    assert 0 <= forecast.probability_exceeds_request <= 1
    assert forecast.tier == forecast_pb2.HISTORY_TIER_NONE
    assert forecast.history_jobs == 0
    assert forecast.degraded == forecast_pb2.DEGRADED_REASON_UNSPECIFIED


def test_a_forecast_is_what_the_model_says_of_that_request_and_history(client: Any, job: Any, trained: Any) -> None:
    forecast = client.prediction.Predict(PredictRequest(job=job())).forecast
    artifact = load(trained)
    row = {"user": "ada", "wallclock_req": 7200, "nodes_req": 2, "processors_req": 72, "name": "relax_7"}
    requests = Requests.from_rows([{**row, "submit_time": 1_700_000_000}])
    expected = artifact.forecaster.forecast(requests, artifact.history().read(requests))
    assert [quantile.seconds for quantile in forecast.quantiles] == expected.quantiles[0].tolist()
    assert forecast.most_likely_seconds == expected.most_likely[0]
    assert forecast.probability_exceeds_request == expected.exceeds[0]
    assert forecast.recommended_wallclock.seconds == expected.wallclock(0.1)[0]
    assert forecast.model_version == artifact.manifest.version


def test_more_risk_never_asks_for_more_time(client: Any, job: Any) -> None:
    asked = [
        client.prediction.Predict(PredictRequest(job=job(), risk=risk)).forecast.recommended_wallclock
        for risk in (0.01, 0.1, 0.3, 0.5)
    ]
    assert [one.risk for one in asked] == [0.01, 0.1, 0.3, 0.5]
    assert [one.seconds for one in asked] == sorted((one.seconds for one in asked), reverse=True)


def test_a_request_without_wallclock_is_forecast_and_says_so(client: Any, job: Any) -> None:
    forecast = client.prediction.Predict(PredictRequest(job=job(wallclock_req=None))).forecast
    assert forecast.median_seconds > 0
    assert forecast.degraded == forecast_pb2.DEGRADED_REASON_NO_WALLCLOCK_REQUESTED
    assert not forecast.HasField("probability_exceeds_request")


def test_a_job_without_submit_time_is_submitted_now(client: Any, job: Any) -> None:
    before = client.prediction.Predict(PredictRequest(job=job(submit_time=int(time.time())))).forecast
    now = client.prediction.Predict(PredictRequest(job=job(submit_time=None))).forecast
    after = client.prediction.Predict(PredictRequest(job=job(submit_time=int(time.time())))).forecast
    assert now in (before, after)


def test_a_job_of_which_nothing_is_known_is_forecast(client: Any, job: Any) -> None:
    nothing = dict.fromkeys(("user", "wallclock_req", "nodes_req", "processors_req", "name"))
    assert client.prediction.Predict(PredictRequest(job=job(**nothing))).forecast.median_seconds > 0


@pytest.mark.parametrize(("field", "values"), BAD)
def test_a_bad_field_is_named(client: Any, job: Any, refusal: Any, field: Any, values: Any) -> None:
    refused = refusal(lambda: client.prediction.Predict(PredictRequest(job=job(**values))))
    assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "FIELD_INVALID")
    assert set(refused.fields) == {f"job.{field}"}
    assert "must" in refused.fields[f"job.{field}"]
    assert refused.text.startswith(f"job.{field}: ")


@pytest.mark.parametrize("risk", [0.0, 0.009, 0.51, 1.0, -0.1, math.nan])
def test_a_bad_risk_is_named(client: Any, job: Any, refusal: Any, risk: Any) -> None:
    assert set(refusal(lambda: client.prediction.Predict(PredictRequest(job=job(), risk=risk))).fields) == {"risk"}


def test_a_missing_job_is_named(client: Any, refusal: Any) -> None:
    assert set(refusal(lambda: client.prediction.Predict(PredictRequest())).fields) == {"job"}


def test_every_bad_field_is_in_the_details_and_the_first_in_the_text(client: Any, job: Any, refusal: Any) -> None:
    bad = {"nodes_req": 0, "wallclock_req": 0, "processors_req": 0, "mem_req": -1.0}
    texts = dict.fromkeys(("user", "partition", "qos", "account", "name"), "x" * 20000)
    refused = refusal(lambda: client.prediction.Predict(PredictRequest(job=job(**bad, **texts))))
    assert set(refused.fields) == {f"job.{name}" for name in (*bad, *texts)}
    assert refused.text.endswith("; and 4 more")


def test_bytes_that_are_no_message_are_refused(client: Any, refusal: Any) -> None:
    raw = client.channel.unary_unary("/rtpredictor.v1.PredictionService/Predict")
    refused = refusal(lambda: raw(b"\xff\xff\xff"))
    assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "MESSAGE_MALFORMED")


def test_an_unknown_field_of_a_later_contract_is_passed_over(client: Any, job: Any) -> None:
    raw = client.channel.unary_unary(
        "/rtpredictor.v1.PredictionService/Predict", response_deserializer=PredictResponse.FromString
    )
    later = PredictRequest(job=job()).SerializeToString() + b"\xfa\x3e\x02hi"
    assert raw(later) == client.prediction.Predict(PredictRequest(job=job()))


def test_a_message_over_the_limit_names_the_limit(served: Any, job: Any, refusal: Any) -> None:
    with served(max_message_bytes=10_000) as client:
        long = PredictRequest(job=job(submit_line="x" * 12_000))
        refused = refusal(lambda: client.prediction.Predict(long))
        assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE")
        assert "10000" in refused.text
        assert "RT_PREDICTOR_MAX_MESSAGE_BYTES" in refused.parts["remedy"]
        with pytest.raises(grpc.RpcError) as caught:
            client.prediction.Predict(PredictRequest(job=job(submit_line="x" * 30_000)))
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_the_default_risk_is_a_setting(served: Any, job: Any) -> None:
    with served(default_risk=0.25) as client:
        assert client.prediction.Predict(PredictRequest(job=job())).forecast.recommended_wallclock.risk == 0.25
