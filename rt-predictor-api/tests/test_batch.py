"""Many jobs in one message of rows."""

from __future__ import annotations

from typing import Any

from rtpredictor.v1.prediction_service_pb2 import PredictBatchRequest, PredictRequest


def test_a_batch_says_of_each_row_what_a_single_call_says(client: Any, job: Any) -> None:
    jobs = [
        job(user=f"user{n % 5}", nodes_req=n + 1, wallclock_req=600 * (n + 1) if n % 3 else None) for n in range(40)
    ]
    response = client.prediction.PredictBatch(PredictBatchRequest(jobs=jobs, risk=0.2))
    single = [client.prediction.Predict(PredictRequest(job=one, risk=0.2)).forecast for one in jobs]
    assert [result.forecast for result in response.results] == single
    assert response.model_version == single[0].model_version


def test_bad_rows_get_their_own_errors_and_leave_the_others_alone(client: Any, job: Any) -> None:
    jobs = [job(), job(nodes_req=0, mem_req=-1), job(nodes_req=3), job(user="x" * 257)]
    results = client.prediction.PredictBatch(PredictBatchRequest(jobs=jobs)).results
    assert [result.WhichOneof("result") for result in results] == ["forecast", "error", "forecast", "error"]
    named = [{violation.field for violation in results[row].error.violations} for row in (1, 3)]
    assert named == [{"nodes_req", "mem_req"}, {"user"}]
    alone = client.prediction.PredictBatch(PredictBatchRequest(jobs=[jobs[0], jobs[2]])).results
    assert [results[0], results[2]] == list(alone)


def test_a_batch_of_bad_rows_only_is_answered_row_by_row(client: Any, job: Any) -> None:
    results = client.prediction.PredictBatch(PredictBatchRequest(jobs=[job(nodes_req=0)] * 3)).results
    assert [result.WhichOneof("result") for result in results] == ["error"] * 3


def test_a_batch_needs_exactly_one_payload(client: Any, job: Any, refusal: Any) -> None:
    both = PredictBatchRequest(jobs=[job()], arrow_jobs=b"x")
    for request, text in ((PredictBatchRequest(), "must be set"), (both, "only one of")):
        refused = refusal(lambda request=request: client.prediction.PredictBatch(request))
        assert (refused.code, set(refused.fields)) == ("INVALID_ARGUMENT", {"oneof"})
        assert text in refused.fields["oneof"]
        assert "jobs, arrow_jobs" in refused.fields["oneof"]


def test_more_rows_than_the_limit_are_refused_with_the_limit(client: Any, job: Any, refusal: Any) -> None:
    assert len(client.prediction.PredictBatch(PredictBatchRequest(jobs=[job()] * 500)).results) == 500
    refused = refusal(lambda: client.prediction.PredictBatch(PredictBatchRequest(jobs=[job()] * 501)))
    assert refused.code == "INVALID_ARGUMENT"
    assert set(refused.fields) == {"jobs"}
    assert "501 rows are more than 500" in refused.text
    assert "RT_PREDICTOR_MAX_BATCH_ROWS" in refused.text


def test_a_bad_risk_fails_the_whole_batch(client: Any, job: Any, refusal: Any) -> None:
    refused = refusal(lambda: client.prediction.PredictBatch(PredictBatchRequest(jobs=[job()], risk=0.9)))
    assert set(refused.fields) == {"risk"}
