from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from google.rpc import code_pb2

import rt_predictor_client
from rt_predictor_client import errors
from rt_predictor_client.client import Client
from rt_predictor_client.requests import DialMeasure, Forecast, RemainingForecast, RowError
from rt_predictor_formats.errors import Problem
from rt_predictor_formats.sbatch import JobRequest
from rtpredictor.v1 import history_service_pb2, model_service_pb2, prediction_service_pb2

METHODS = {
    "Predict": "predict",
    "PredictBatch": "predict_arrow",
    "PredictStream": "predict_many",
    "PredictRemaining": "predict_remaining",
    "ReportJobs": "report",
    "GetModel": "model",
    "ListModels": "models",
    "GetEvaluation": "evaluation",
    "ListJobs": "jobs_page",
}
JOB = {"user": "ada", "wallclock_req": 7200, "nodes_req": 2, "name": "relax"}
EVENT = {**JOB, "job_id": "1", "submit_time": 1000, "start_time": 1100, "end_time": 1200, "state": "COMPLETED"}


def test_the_client_has_a_method_for_every_rpc() -> None:
    modules = (prediction_service_pb2, history_service_pb2, model_service_pb2)
    services = [service for module in modules for service in module.DESCRIPTOR.services_by_name.values()]
    named = {method.name for service in services for method in service.methods}
    assert named == set(METHODS)
    assert all(callable(getattr(Client, method)) for method in METHODS.values())


def test_public_names_are_sorted_and_exist() -> None:
    assert rt_predictor_client.__all__ == sorted(rt_predictor_client.__all__)
    assert all(getattr(rt_predictor_client, name) is not None for name in rt_predictor_client.__all__)


def test_a_forecast_comes_back_as_values(client: Client, peer: Any) -> None:
    forecast = client.predict(JobRequest(user="ada", wallclock_req=7200, mem_req=4096.0), risk=0.1)
    assert (forecast.median_seconds, forecast.most_likely_seconds) == (3600, 1800)
    assert (forecast.recommended_seconds, forecast.risk) == (7200, 0.1)
    assert (forecast.tier, forecast.history_jobs, forecast.degraded) == ("user_name", 34, None)
    assert forecast.probability_exceeds_request == 0.125
    assert peer.requests[0].job.mem_req == 4096
    assert not peer.requests[0].job.HasField("nodes_req")


def test_what_is_left_comes_back_as_values(client: Client, peer: Any) -> None:
    left = client.predict_remaining({**JOB, "submit_time": 1000}, 1800.5, risk=0.1)
    assert isinstance(left, RemainingForecast)
    assert (left.median_seconds, left.most_likely_seconds, left.lower_seconds) == (1799.5, 0, 0)
    assert (left.elapsed_seconds, left.at_limit) == (1800.5, False)
    assert left.share_outlasted == pytest.approx(0.25, abs=0.001)
    assert (left.recommended_seconds, left.risk, left.probability_exceeds_request) == (7200, 0.1, 0.125)
    assert left.quantile(0.5) == left.median_seconds
    (request,) = peer.requests
    assert (request.elapsed_seconds, request.job.submit_time.seconds, request.risk) == (1800.5, 1000, 0.1)


def test_a_job_that_has_just_started_says_so(client: Client, peer: Any) -> None:
    client.predict_remaining(JOB, 0)
    (request,) = peer.requests
    assert request.HasField("elapsed_seconds")
    assert not request.HasField("risk")
    assert not request.job.HasField("submit_time")


def test_an_elapsed_that_the_service_refuses_is_rejected(client: Client, peer: Any, details: Any) -> None:
    peer.refuse(code_pb2.INVALID_ARGUMENT, details(elapsed_seconds="must be greater than or equal to 0"))
    with pytest.raises(errors.Rejected, match="elapsed_seconds: must be"):
        client.predict_remaining(JOB, -1.0)


@pytest.mark.parametrize("elapsed", ["soon", None, [1]])
def test_an_elapsed_that_is_no_number_cannot_be_sent(client: Client, peer: Any, elapsed: Any) -> None:
    with pytest.raises(Problem) as caught:
        client.predict_remaining(JOB, elapsed)
    assert (caught.value.code, caught.value.place, peer.calls) == ("FIELD_INVALID", "elapsed_seconds", {})


def test_without_a_risk_the_service_chooses(client: Client, peer: Any) -> None:
    client.predict(JOB)
    assert not peer.requests[0].HasField("risk")


def test_quantiles_between_levels_are_interpolated(client: Client) -> None:
    forecast = client.predict({"wallclock_req": 1000})
    assert forecast.quantile(0.25) == pytest.approx(250)
    assert forecast.quantile(0.375) == pytest.approx(375)
    with pytest.raises(ValueError, match="outside"):
        forecast.quantile(0.99)


def test_many_come_in_order_with_bad_rows_in_their_places(client: Client, peer: Any) -> None:
    jobs = [{"wallclock_req": 60 + i} for i in range(30)]
    jobs[0] = {"wallclock_req": "soon"}
    jobs[7] = {"nodes_req": 2_000_000}
    jobs[20:30] = [{"colour": "red"}] * 10
    results = list(client.predict_many(jobs, risk=0.2, chunk_rows=4))
    bad = {i for i, result in enumerate(results) if isinstance(result, RowError)}
    assert bad == {0, 7, *range(20, 30)}
    assert all(results[i].position == i for i in bad)
    assert [r.median_seconds for r in results if isinstance(r, Forecast)] == [
        (60 + i) / 2 for i in range(20) if i not in {0, 7}
    ]
    assert "nodes_req: must be at most" in str(results[7])
    assert {request.risk for request in peer.requests} == {0.2}
    assert max(len(request.jobs) for request in peer.requests) == 4


def test_no_jobs_give_no_results(client: Client) -> None:
    assert list(client.predict_many([])) == []


def test_what_the_jobs_raise_comes_out_of_predict_many(client: Client) -> None:
    def jobs() -> Iterator[dict[str, int]]:
        yield {"wallclock_req": 60}
        raise Problem("CSV_INVALID", "broken", remedy="mend it")

    with pytest.raises(Problem, match="broken"):
        list(client.predict_many(jobs(), chunk_rows=1))


def test_a_stream_left_early_is_cancelled_and_the_client_goes_on(client: Client) -> None:
    results = client.predict_many(({"wallclock_req": 60} for _ in range(5000)), chunk_rows=1)
    next(results)
    results.close()
    assert client.health() == "SERVING"


def test_arrow_bytes_pass_unchanged(client: Client) -> None:
    assert client.predict_arrow(b"abc") == b"cba"


def test_events_count_once_and_rejections_keep_their_positions(client: Client, peer: Any) -> None:
    events = [EVENT, EVENT, {**EVENT, "job_id": "2", "state": "EXPLODED"}, {**EVENT, "job_id": "3", "end_time": 5}]
    result = client.report(events)
    assert (result.accepted, result.duplicates, result.rejected_total) == (1, 1, 2)
    assert [error.position for error in result.rejected] == [2, 3]
    assert client.report([EVENT]).duplicates == 1
    assert peer.requests[0].job.submit_time.seconds == 1000


def test_a_report_of_nothing_makes_no_call(client: Client, peer: Any) -> None:
    assert client.report([]).accepted == 0
    assert peer.calls == {}


def test_models_come_with_scores_and_times(client: Client) -> None:
    newest, oldest = client.models()
    assert newest == client.model() == client.model(newest.version)
    assert newest.created_time == datetime(2026, 1, 1, tzinfo=UTC)
    assert newest.members == (("xgboost", 0.6), ("catboost", 0.4))
    assert newest.scores[0].coverage_90 == 0.91
    assert newest.scores[1].coverage_90 is None
    assert newest.dial == (DialMeasure(0.05, 0.046, 0.82), DialMeasure(0.25, 0.24, None))
    assert oldest.dial == ()
    assert oldest.created_time is None


def test_the_deadline_holds(peer: Any) -> None:
    peer.hang = threading.Event()
    with Client(peer.address, timeout_seconds=0.3, stream_timeout_seconds=0.3) as hasty:
        for call in (
            lambda: hasty.predict(JOB),
            lambda: hasty.predict_remaining(JOB, 60),
            lambda: list(hasty.predict_many([JOB])),
            lambda: list(hasty.predict_arrow_many([b"rows"] * 9)),
            lambda: hasty.report([EVENT]),
        ):
            began = time.monotonic()
            with pytest.raises(errors.TimedOut, match="no answer in time"):
                call()
            assert time.monotonic() - began < 5


def test_health_is_what_the_service_says(client: Client, peer: Any) -> None:
    peer.health.enter_graceful_shutdown()
    assert client.health() == "NOT_SERVING"


def test_jobs_are_asked_for_page_by_page_as_they_are_used(client: Client, peer: Any) -> None:
    jobs = client.jobs("ada")
    assert [next(jobs).job_id for _ in range(100)][-1] == "151"
    assert peer.calls == {"ListJobs": 1}
    assert len(list(jobs)) == 150
    assert peer.calls == {"ListJobs": 3}
    page = client.jobs_page("ada", size=10, token="245")
    assert (len(page.jobs), page.next_page_token, page.privacy) == (5, "", "show")
    assert page.jobs[1].run_seconds == 3600
    assert page.jobs[1].forecast is not None
    assert (page.jobs[0].wallclock_req, page.jobs[0].gpus_req, page.jobs[0].state) == (7200, None, None)
