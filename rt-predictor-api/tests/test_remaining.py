"""What is left of a running job, over a real socket."""

from __future__ import annotations

import json
import math
import time
from itertools import pairwise
from typing import Any

import pytest

from rt_predictor_core.artifact.load import load
from rt_predictor_core.requests import Requests
from rtpredictor.v1 import forecast_pb2
from rtpredictor.v1.model_service_pb2 import GetModelRequest
from rtpredictor.v1.prediction_service_pb2 import PredictRemainingRequest, PredictRequest

YEAR = 366 * 86_400


def ask(client: Any, job: Any, elapsed: float | None, **options: Any) -> forecast_pb2.RemainingForecast:
    request = PredictRemainingRequest(job=job, elapsed_seconds=elapsed, **options)
    return client.prediction.PredictRemaining(request).forecast


def test_a_job_that_has_just_started_is_told_what_it_was_told_before(client: Any, job: Any) -> None:
    before = client.prediction.Predict(PredictRequest(job=job(), risk=0.2)).forecast
    running = ask(client, job(), 0.0, risk=0.2)
    shared = {field.name for field in before.DESCRIPTOR.fields} & {field.name for field in running.DESCRIPTOR.fields}
    assert len(shared) == 10
    assert [name for name in shared if getattr(before, name) != getattr(running, name)] == []
    assert (running.elapsed_seconds, running.share_outlasted, running.at_limit) == (0.0, 0.0, False)


def test_what_is_left_is_what_the_model_says_given_how_far_it_has_come(client: Any, job: Any, trained: Any) -> None:
    running = ask(client, job(), 1800.0)
    artifact = load(trained)
    row = {"user": "ada", "wallclock_req": 7200, "nodes_req": 2, "processors_req": 72, "name": "relax_7"}
    requests = Requests.from_rows([{**row, "submit_time": 1_700_000_000}])
    before = artifact.forecaster.forecast(requests, artifact.history().read(requests))
    levels = [quantile.level for quantile in running.quantiles]
    for level, quantile in zip(levels, running.quantiles, strict=True):
        # the quantile among those that run longer than half an hour
        part = running.share_outlasted + level * (1.0 - running.share_outlasted)
        assert quantile.seconds + 1800.0 == pytest.approx(before.distribution.quantile(part)[0])
    assert running.median_seconds == running.quantiles[levels.index(0.5)].seconds
    assert 0 < running.interval.lower_seconds < running.quantiles[0].seconds
    assert running.median_seconds < running.interval.upper_seconds <= 7200 - 1800 + 3600
    assert running.most_likely_seconds > 0
    assert running.model_version == artifact.manifest.version


def limit_of(model: Any) -> float:
    """Return when the scheduler of the log kills a job that requested 7200 s [s]."""
    grace = load(model).manifest.target.grace
    assert grace is not None
    return 7200.0 + grace


def test_a_job_ends_the_later_the_further_it_has_come_and_by_its_limit(client: Any, job: Any, trained: Any) -> None:
    told = [ask(client, job(), float(elapsed)) for elapsed in range(0, 7200, 600)]
    for earlier, later in pairwise(told):
        ends = [one.elapsed_seconds + one.median_seconds for one in (earlier, later)]
        assert ends[0] <= ends[1] + 1e-6
        assert earlier.probability_exceeds_request <= later.probability_exceeds_request
        assert earlier.recommended_wallclock.seconds <= later.recommended_wallclock.seconds
    left = [limit_of(trained) - one.elapsed_seconds for one in told]
    assert all(0 < quantile.seconds <= most for one, most in zip(told, left, strict=True) for quantile in one.quantiles)


def test_a_job_at_its_limit_is_said_to_be_there(client: Any, job: Any, trained: Any) -> None:
    limit = limit_of(trained)
    assert not ask(client, job(), limit - 1.0).at_limit
    for elapsed in (limit, 40_000.0):
        late = ask(client, job(), elapsed)
        assert late.at_limit
        assert {quantile.seconds for quantile in late.quantiles} == {0.0}
        assert late.probability_exceeds_request == 1.0
        assert late.recommended_wallclock.seconds == math.ceil(elapsed / 60) * 60


def test_a_job_without_limit_that_has_outlived_its_like_goes_on(client: Any, job: Any) -> None:
    long = ask(client, job(wallclock_req=None), YEAR)
    assert long.share_outlasted > 0.95
    assert 0 < long.median_seconds < math.inf
    assert long.degraded == forecast_pb2.DEGRADED_REASON_NO_WALLCLOCK_REQUESTED
    assert not long.HasField("probability_exceeds_request")
    assert not long.at_limit


@pytest.mark.parametrize("elapsed", [-1.0, math.nan, math.inf, YEAR + 1.0, None])
def test_a_bad_elapsed_is_named(client: Any, job: Any, refusal: Any, elapsed: Any) -> None:
    refused = refusal(lambda: ask(client, job(), elapsed))
    assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "FIELD_INVALID")
    assert set(refused.fields) == {"elapsed_seconds"}


def test_a_bad_job_and_a_bad_risk_are_named_together(client: Any, job: Any, refusal: Any) -> None:
    assert set(refusal(lambda: ask(client, job(nodes_req=0), 1.0, risk=0.9)).fields) == {"job.nodes_req", "risk"}
    assert set(refusal(lambda: ask(client, None, 1.0)).fields) == {"job"}


def test_a_job_without_submit_time_was_submitted_when_it_started(client: Any, job: Any) -> None:
    elapsed = 4000.0
    before = ask(client, job(submit_time=int(time.time() - elapsed)), elapsed)
    now = ask(client, job(submit_time=None), elapsed)
    after = ask(client, job(submit_time=int(time.time() - elapsed)), elapsed)
    assert now in (before, after)


def test_a_running_job_knows_what_was_reported_after_its_submit(served: Any, job: Any, event: Any) -> None:
    ended = event(1, run_time=600)
    running = job(submit_time=ended.job.submit_time.seconds - 3600)
    with served() as client:
        assert ask(client, running, 60.0).history_jobs == 0
        client.report(ended)
        told = ask(client, running, 60.0)
    assert (told.tier, told.history_jobs) == (forecast_pb2.HISTORY_TIER_USER_NAME_REQUEST, 1)


def test_what_was_asked_of_a_running_job_is_not_compared_with_its_end(served: Any, event: Any) -> None:
    with served() as client:
        ask(client, event(1).job, 590.0)
        client.report(event(1, run_time=600))
        ends = [line for line in client.scrape().splitlines() if line.startswith("rtpredictor_live_ends_total")]
        counted = {line.split('forecast="')[1].split('"')[0] for line in ends if not line.endswith(" 0.0")}
        assert counted == {"at_end"}
        assert client.value('rtpredictor_requests_total{code="OK",rpc="PredictRemaining"}') == 1
        assert client.value('rtpredictor_forecasts_total{tier="none"}') == 1


def test_the_dial_of_a_model_is_told(served: Any, models: Any) -> None:
    (path,) = models.glob("*/manifest.json")
    manifest = json.loads(path.read_text())
    manifest["dial"] = [
        {"risk": 0.1, "measured_rate": 0.125, "bound_to_request": 0.75},
        {"risk": 0.25, "measured_rate": 0.2, "bound_to_request": None},
    ]
    path.write_text(json.dumps(manifest))
    with served() as client:
        whole, partly = client.model.GetModel(GetModelRequest()).model.dial
    assert (whole.risk, whole.measured_rate, whole.bound_to_request) == (0.1, 0.125, 0.75)
    assert (partly.measured_rate, partly.HasField("bound_to_request")) == (0.2, False)
