"""Why a forecast is what it is, over a real socket; and that no other answer carries it."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from rt_predictor_core.artifact.files import REFERENCE
from rt_predictor_core.artifact.manifest import NAME
from rt_predictor_core.features.groups import GROUPS
from rtpredictor.v1 import forecast_pb2
from rtpredictor.v1.prediction_service_pb2 import PredictRequest


def explained(client: Any, job: Any) -> forecast_pb2.Forecast:
    answer: forecast_pb2.Forecast = client.prediction.Predict(PredictRequest(job=job, explain=True)).forecast
    return answer


def whole(told: forecast_pb2.Forecast) -> float:
    return float(told.explanation.baseline_seconds + sum(one.seconds for one in told.explanation.contributions))


def as_of_an_older_release(model: Path) -> None:
    """Take from an artifact what the release before explanations did not publish."""
    manifest = json.loads((model / NAME).read_text())
    del manifest["sha256"][REFERENCE]
    (model / REFERENCE).unlink()
    (model / NAME).write_text(json.dumps(manifest))


def test_baseline_and_contributions_sum_to_the_median(client: Any, job: Any) -> None:
    told = explained(client, job())
    assert whole(told) == pytest.approx(told.median_seconds, rel=1e-9)
    assert {one.group for one in told.explanation.contributions} == set(GROUPS)
    sizes = [abs(one.seconds) for one in told.explanation.contributions]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 0
    assert told.explanation.unexplained == forecast_pb2.UNEXPLAINED_REASON_UNSPECIFIED


def test_the_forecast_is_the_same_explained_or_not(client: Any, job: Any) -> None:
    plain = client.prediction.Predict(PredictRequest(job=job(user="same"))).forecast
    told = explained(client, job(user="same"))
    assert told.HasField("explanation")
    told.ClearField("explanation")
    assert told == plain


def test_an_answer_that_was_kept_neither_loses_nor_gains_an_explanation(client: Any, job: Any) -> None:
    wanted = [False, True, False, True, True, False]
    answers = [
        client.prediction.Predict(PredictRequest(job=job(user="kept"), explain=explain)).forecast for explain in wanted
    ]
    assert [one.HasField("explanation") for one in answers] == wanted
    assert len({one.SerializeToString() for one in answers}) == 2


def test_an_explanation_follows_what_was_reported(served: Any, job: Any, event: Any) -> None:
    with served() as client:
        before = explained(client, job())
        client.report(*(event(number, run_time=6_000) for number in range(20)))
        after = explained(client, job())
    assert whole(after) == pytest.approx(after.median_seconds, rel=1e-9)
    user = [{one.group: one.seconds for one in told.explanation.contributions} for told in (before, after)]
    assert user[0]["alike"] != user[1]["alike"]
    assert before.explanation.baseline_seconds == after.explanation.baseline_seconds


def test_a_model_of_an_older_release_forecasts_and_says_that_it_cannot_explain(
    served: Any, models: Path, job: Any
) -> None:
    (model,) = models.iterdir()
    as_of_an_older_release(model)
    with served() as client:
        told = explained(client, job())
    assert told.median_seconds > 0
    assert not told.explanation.contributions
    assert told.explanation.unexplained == forecast_pb2.UNEXPLAINED_REASON_NO_BASELINE


def test_a_reference_that_fits_no_model_refuses_the_artifact(models: Path, refused: Any) -> None:
    (model,) = models.iterdir()
    (model / REFERENCE).write_bytes(b"no arrays")
    manifest = json.loads((model / NAME).read_text())
    manifest["sha256"][REFERENCE] = sha256(b"no arrays").hexdigest()
    (model / NAME).write_text(json.dumps(manifest))
    assert "NO_MODEL" in refused()


def test_an_explanation_spends_a_budget_as_the_rows_that_it_takes(served: Any, job: Any, refusal: Any) -> None:
    # 256 rows cost 6 of 8 calls, so that two of them are too many and two forecasts are not
    with served(rate_per_second=0.01, rate_burst=8) as client:
        for _ in range(2):
            client.prediction.Predict(PredictRequest(job=job()))
        explained(client, job())
        assert refusal(lambda: explained(client, job())).code == "RESOURCE_EXHAUSTED"


def test_an_explained_job_is_compared_with_its_end_as_any_other(served: Any, job: Any, event: Any) -> None:
    with served() as client:
        ended = event(1)
        asked = job(job_id=ended.job.job_id, submit_time=ended.job.submit_time.seconds)
        explained(client, asked)
        client.report(ended)
        assert (
            sum(
                client.value(f'rtpredictor_live_ends_total{{forecast="earlier",interval="{side}"}}')
                for side in ("below", "inside", "above")
            )
            == 1
        )
