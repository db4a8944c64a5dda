"""A recording peer: a real gRPC server with the three services and fixed answers. The true API is tested elsewhere."""

from __future__ import annotations

import csv
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2, timestamp_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from rt_predictor_client.cli import main
from rt_predictor_client.client import Client
from rtpredictor.v1 import (
    forecast_pb2,
    history_service_pb2,
    history_service_pb2_grpc,
    job_pb2,
    model_service_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2,
    prediction_service_pb2_grpc,
    problem_pb2,
)

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


def answer(job: Any, risk: float, degraded: int = 0) -> forecast_pb2.Forecast:
    """Return a forecast that depends on the wallclock alone: its median is half of it."""
    request = job.wallclock_req or 3600
    forecast = forecast_pb2.Forecast(
        median_seconds=request / 2,
        most_likely_seconds=request / 4,
        interval=forecast_pb2.Interval(
            lower_seconds=request * 0.05, upper_seconds=request * 0.95, nominal_coverage=0.9
        ),
        quantiles=[forecast_pb2.Quantile(level=level, seconds=request * level) for level in LEVELS],
        recommended_wallclock=forecast_pb2.RecommendedWallclock(seconds=request, risk=risk),
        model_version="20260101T000000Z-00000000",
        tier=forecast_pb2.HISTORY_TIER_USER_NAME,
        history_jobs=34,
        degraded=degraded,
    )
    if job.HasField("wallclock_req"):
        forecast.probability_exceeds_request = 0.125
    return forecast


def explanation(median: float, *, unexplained: bool) -> forecast_pb2.Explanation:
    """Return an explanation of two contributions that sum, with the baseline, to the median."""
    if unexplained:
        return forecast_pb2.Explanation(unexplained=forecast_pb2.UNEXPLAINED_REASON_NO_BASELINE)
    parts = {"user": median - 300, "size": -300.0}
    contributions = [forecast_pb2.Contribution(group=group, seconds=seconds) for group, seconds in parts.items()]
    return forecast_pb2.Explanation(baseline_seconds=600, contributions=contributions)


def answer_remaining(job: Any, elapsed: float, risk: float, degraded: int = 0) -> forecast_pb2.RemainingForecast:
    """Return a forecast of what is left: that of the job less the time that it has run; 0 from its request on."""
    whole = answer(job, risk, degraded)
    left = forecast_pb2.RemainingForecast.FromString(whole.SerializeToString())
    for message, name in ((left, "median"), (left, "most_likely"), (left.interval, "lower"), (left.interval, "upper")):
        setattr(message, f"{name}_seconds", max(getattr(message, f"{name}_seconds") - elapsed, 0))
    for quantile in left.quantiles:
        quantile.seconds = max(quantile.seconds - elapsed, 0)
    left.elapsed_seconds = elapsed
    left.share_outlasted = min(elapsed / (job.wallclock_req or 3600), 0.9999)
    left.at_limit = job.HasField("wallclock_req") and elapsed >= job.wallclock_req
    return left


def packed(*details: Any) -> list[any_pb2.Any]:
    messages = [any_pb2.Any() for _ in details]
    for message, detail in zip(messages, details, strict=True):
        message.Pack(detail)
    return messages


def bad_request(**fields: str) -> error_details_pb2.BadRequest:
    violation = error_details_pb2.BadRequest.FieldViolation
    return error_details_pb2.BadRequest(
        field_violations=[violation(field=name, description=text) for name, text in fields.items()]
    )


@dataclass
class Peer:
    """What the server saw, and how it shall answer."""

    address: str = ""
    requests: list[Any] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)
    failures: list[status_pb2.Status] = field(default_factory=list)
    always: status_pb2.Status | None = None
    fail_from_message: int | None = None
    degraded: int = 0
    unexplained: bool = False
    hang: threading.Event | None = None
    known: set[tuple[str, int]] = field(default_factory=set)
    health: Any = None

    def enter(self, method: str, context: Any, message: int = 0) -> None:
        if message == 0:
            self.calls[method] = self.calls.get(method, 0) + 1
        if self.hang is not None:
            self.hang.wait(30)
        status = self.failures.pop(0) if self.failures else self.always
        if status is not None and message >= (self.fail_from_message or 0):
            context.abort_with_status(rpc_status.to_status(status))

    def refuse(self, code: int, *details: Any, text: str = "") -> None:
        self.always = status_pb2.Status(code=code, message=text, details=packed(*details))


class _Prediction(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    def Predict(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's names
        self._peer.enter("Predict", context)
        self._peer.requests.append(request)
        risk = request.risk if request.HasField("risk") else 0.05
        forecast = answer(request.job, risk, self._peer.degraded)
        if request.explain:
            forecast.explanation.CopyFrom(explanation(forecast.median_seconds, unexplained=self._peer.unexplained))
        return prediction_service_pb2.PredictResponse(forecast=forecast)

    def PredictRemaining(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._peer.enter("PredictRemaining", context)
        self._peer.requests.append(request)
        risk = request.risk if request.HasField("risk") else 0.05
        forecast = answer_remaining(request.job, request.elapsed_seconds, risk, self._peer.degraded)
        return prediction_service_pb2.PredictRemainingResponse(forecast=forecast)

    def PredictBatch(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._peer.enter("PredictBatch", context)
        return prediction_service_pb2.PredictBatchResponse(arrow_results=request.arrow_jobs[::-1])

    def PredictStream(self, requests: Any, context: Any) -> Any:  # noqa: N802
        for number, request in enumerate(requests):
            self._peer.enter("PredictStream", context, number)
            self._peer.requests.append(request)
            risk = request.risk if request.HasField("risk") else 0.05
            yield prediction_service_pb2.PredictStreamResponse(
                results=[self._result(job, risk) for job in request.jobs], arrow_results=request.arrow_jobs[::-1]
            )

    def _result(self, job: Any, risk: float) -> Any:
        if job.nodes_req > 1_000_000:
            violation = problem_pb2.FieldViolation(field="nodes_req", description="must be at most 1000000")
            return prediction_service_pb2.PredictResult(error=problem_pb2.RowError(violations=[violation]))
        return prediction_service_pb2.PredictResult(forecast=answer(job, risk, self._peer.degraded))


class _History(history_service_pb2_grpc.HistoryServiceServicer):
    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    def ReportJobs(self, requests: Any, context: Any) -> Any:  # noqa: N802
        self._peer.enter("ReportJobs", context)
        response = history_service_pb2.ReportJobsResponse()
        events = [event for request in requests for event in request.events]
        self._peer.requests.extend(events)
        for position, event in enumerate(events):
            key = (event.job.job_id, event.job.submit_time.seconds)
            if event.HasField("end_time") and event.end_time.seconds < event.start_time.seconds:
                violation = problem_pb2.FieldViolation(field="end_time", description="must not lie before start_time")
                error = problem_pb2.RowError(violations=[violation])
                response.rejected.append(history_service_pb2.RejectedEvent(position=position, error=error))
                response.rejected_total += 1
            elif key in self._peer.known:
                response.duplicates += 1
            else:
                self._peer.known.add(key)
                response.accepted += 1
        return response

    def ListJobs(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Answer with 250 jobs of whoever is asked for, page by page."""
        self._peer.enter("ListJobs", context)
        self._peer.requests.append(request)
        size, begin = request.page_size or 100, int(request.page_token or 0)
        numbers = range(begin, min(begin + size, 250))
        response = history_service_pb2.ListJobsResponse(privacy=history_service_pb2.PRIVACY_SHOW)
        response.jobs.extend(record(250 - number, request.user) for number in numbers)
        response.next_page_token = str(numbers.stop) if numbers.stop < 250 else ""
        return response


def record(number: int, user: str) -> history_service_pb2.JobRecord:
    """Return a job that ended; every other one waits, and nothing was said of it."""
    made = history_service_pb2.JobRecord(
        job=job_pb2.Job(job_id=str(number), user=user, name="relax", wallclock_req=7200, nodes_req=2)
    )
    made.job.submit_time.FromSeconds(1_760_000_000 + number)
    if number % 2 == 0:
        made.start_time.FromSeconds(1_760_000_100 + number)
        made.end_time.FromSeconds(1_760_003_700 + number)
        made.state = job_pb2.JOB_STATE_COMPLETED
        made.run_seconds = 3600
        made.forecast.CopyFrom(
            history_service_pb2.JobForecast(
                median_seconds=1800,
                interval=forecast_pb2.Interval(lower_seconds=60, upper_seconds=5400, nominal_coverage=0.9),
                tier=forecast_pb2.HISTORY_TIER_USER,
                model_version="20260101T000000Z-00000000",
            )
        )
    return made


class _Model(model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    def GetModel(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._peer.enter("GetModel", context)
        models = _models()
        found = [model for model in models if request.version in {"", model.version}]
        if not found:
            info = error_details_pb2.ErrorInfo(
                reason="MODEL_UNKNOWN",
                metadata={"thing": f"no model '{request.version}'", "place": "version", "remedy": "list the models"},
            )
            status = status_pb2.Status(code=code_pb2.NOT_FOUND, message="no", details=packed(info))
            context.abort_with_status(rpc_status.to_status(status))
        return model_service_pb2.GetModelResponse(model=found[0])

    def ListModels(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        self._peer.enter("ListModels", context)
        return model_service_pb2.ListModelsResponse(models=_models())

    def GetEvaluation(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._peer.enter("GetEvaluation", context)
        newest, oldest = _models()
        if request.version == oldest.version:
            return model_service_pb2.GetEvaluationResponse(version=oldest.version)
        return model_service_pb2.GetEvaluationResponse(version=newest.version, evaluation=_evaluation())


def _evaluation() -> Any:
    def part(label: str, jobs: int) -> Any:
        baselines = [model_service_pb2.BaselineScore(name="request", mae_hours=6, median_ae_minutes=90)]
        scores = {"mae_hours": 1.5, "median_ae_minutes": 9, "coverage_90": 0.91, "width_90_hours": 7}
        return model_service_pb2.PartScore(label=label, jobs=jobs, baselines=baselines, **scores)

    features = [
        model_service_pb2.FeatureImportance(feature="near_q50_log", group="alike", share=0.75),
        model_service_pb2.FeatureImportance(feature="log_wallclock_req", group="wallclock", share=0.25),
    ]
    return model_service_pb2.Evaluation(
        first_submit_time=timestamp_pb2.Timestamp(seconds=1759000000),
        last_submit_time=timestamp_pb2.Timestamp(seconds=1760000000),
        overall=part("all", 100),
        months=[part("2025-09", 60), part("2025-10", 40)],
        weeks=[part("2025-09-29", 100)],
        bands=[part("up to 10 min", 100)],
        tiers=[part("user+name", 100)],
        reliability=[model_service_pb2.QuantileReliability(level=0.95, measured=0.94)],
        importance=[model_service_pb2.MemberImportance(name="ensemble", features=features)],
    )


def _models() -> list[Any]:
    newest = model_service_pb2.Model(
        version="20260101T000000Z-00000000",
        created_time=timestamp_pb2.Timestamp(seconds=1767225600),
        jobs=100_000,
        first_submit_time=timestamp_pb2.Timestamp(seconds=1750000000),
        last_submit_time=timestamp_pb2.Timestamp(seconds=1760000000),
        profile="quick",
        members=[
            model_service_pb2.Member(name="xgboost", weight=0.6),
            model_service_pb2.Member(name="catboost", weight=0.4),
        ],
        scores=[
            model_service_pb2.MethodScore(
                name="ensemble", mae_hours=1.5, median_ae_minutes=9, under_rate=0.4, coverage_90=0.91, width_90_hours=7
            ),
            model_service_pb2.MethodScore(name="request", mae_hours=6, median_ae_minutes=90, under_rate=0.02),
        ],
        quantile_levels=LEVELS,
        current=True,
        dial=[
            model_service_pb2.DialMeasure(risk=0.05, measured_rate=0.046, bound_to_request=0.82),
            model_service_pb2.DialMeasure(risk=0.25, measured_rate=0.24),
        ],
    )
    return [newest, model_service_pb2.Model(version="20250101T000000Z-00000000", jobs=7)]


@pytest.fixture
def peer() -> Iterator[Peer]:
    recording = Peer(health=health.HealthServicer())
    recording.health.set("", health_pb2.HealthCheckResponse.SERVING)
    with ThreadPoolExecutor(4) as pool:
        server = grpc.server(pool)
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(_Prediction(recording), server)
        history_service_pb2_grpc.add_HistoryServiceServicer_to_server(_History(recording), server)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(_Model(recording), server)
        health_pb2_grpc.add_HealthServicer_to_server(recording.health, server)
        recording.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        yield recording
        if recording.hang is not None:
            recording.hang.set()
        server.stop(None).wait(10)


@pytest.fixture
def client(peer: Peer) -> Iterator[Client]:
    with Client(peer.address, timeout_seconds=5) as opened:
        yield opened


@dataclass
class Ran:
    """How a run of ``rtp`` ended."""

    status: int
    out: str
    err: str


@pytest.fixture
def rtp(
    peer: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Ran]:
    """Run ``rtp`` against the peer, in an empty home."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USER", "ada")
    for name in ("XDG_CONFIG_HOME", "RT_PREDICTOR_TIMEOUT_SECONDS", "LOGNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RT_PREDICTOR_ADDRESS", peer.address)

    def run(*arguments: object) -> Ran:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        text = capfd.readouterr()
        return Ran(int(ended.value.code or 0), text.out, text.err)

    return run


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def rows_of() -> Callable[[Path], list[dict[str, str]]]:
    return read_csv


@pytest.fixture
def details() -> Callable[..., error_details_pb2.BadRequest]:
    return bad_request
