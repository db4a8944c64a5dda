"""A real gRPC server in this process with fixed answers, and the page run against it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pytest
import streamlit as st
from google.protobuf import any_pb2, timestamp_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from streamlit.testing.v1 import AppTest

from rt_predictor_client.requests import forecast, job_message
from rtpredictor.v1 import (
    forecast_pb2,
    history_service_pb2,
    history_service_pb2_grpc,
    model_service_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2,
    prediction_service_pb2_grpc,
    problem_pb2,
)

LAUNCHER = Path(__file__).resolve().parents[1] / "src" / "app.py"
MOST_NODES = 1000
MODEL = "20260101T000000Z-00000000"
ARROW = pa.schema(
    {
        "median_seconds": pa.float64(),
        "most_likely_seconds": pa.float64(),
        "lower_seconds": pa.float64(),
        "upper_seconds": pa.float64(),
        "recommended_wallclock_seconds": pa.uint32(),
        "probability_exceeds_request": pa.float64(),
        "tier": pa.string(),
        "history_jobs": pa.uint32(),
        "degraded": pa.string(),
        "error": pa.string(),
    }
)
"""The service's columns, but for its quantiles."""

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


def made_models() -> list[Any]:
    """Return a model with all that can be told of one, and an older one of which little is told."""
    score, dial = model_service_pb2.MethodScore, model_service_pb2.DialMeasure
    full = model_service_pb2.Model(
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
            score(
                name="ensemble", mae_hours=1.5, median_ae_minutes=9, under_rate=0.4, coverage_90=0.91, width_90_hours=7
            ),
            score(name="xgboost", mae_hours=1.6, median_ae_minutes=10, under_rate=0.41),
            score(name="request", mae_hours=6, median_ae_minutes=90, under_rate=0.02),
        ],
        current=True,
        dial=[
            dial(risk=0.05, measured_rate=0.046, bound_to_request=0.82),
            dial(risk=0.25, measured_rate=0.24),
        ],
    )
    return [full, model_service_pb2.Model(version="20250101T000000Z-00000000", jobs=7)]


def made_explanation() -> Any:
    """Return what moves 4 h to the median of 5 h."""
    part = forecast_pb2.Contribution
    moved = [part(group="wallclock", seconds=5400), part(group="user", seconds=-1800), part(group="size", seconds=0)]
    return forecast_pb2.Explanation(baseline_seconds=14_400, contributions=moved)


def made_evaluation() -> Any:
    """Return how a model did in two months, in two bands, and what two members rest on."""
    part, baseline = model_service_pb2.PartScore, model_service_pb2.BaselineScore
    quantile, member = model_service_pb2.QuantileReliability, model_service_pb2.MemberImportance
    feature = model_service_pb2.FeatureImportance

    def scored(label: str, jobs: int, hours: float, coverage: float) -> Any:
        rivals = [baseline(name="request", mae_hours=4 * hours), baseline(name="last2", mae_hours=2 * hours)]
        return part(label=label, jobs=jobs, mae_hours=hours, coverage_90=coverage, baselines=rivals)

    return model_service_pb2.Evaluation(
        first_submit_time=timestamp_pb2.Timestamp(seconds=1757000000),
        last_submit_time=timestamp_pb2.Timestamp(seconds=1760000000),
        overall=scored("all", 30_000, 1.5, 0.91),
        months=[scored("2025-09", 20_000, 1.4, 0.92), scored("2025-10", 10_000, 1.7, 0.89)],
        bands=[scored("1-10 min", 25_000, 0.5, 0.95), scored("over 3 d", 5_000, 9, 0.7)],
        tiers=[scored("none", 100, 3, 0.8)],
        reliability=[quantile(level=0.5, measured=0.52), quantile(level=0.95, measured=0.94)],
        importance=[
            member(name="ensemble", features=[feature(feature="log_request", group="wallclock", share=0.75)]),
            member(name="xgboost", features=[feature(feature="hour", group="time", share=1)]),
        ],
    )


def arrow_row(result: Any) -> dict[str, Any]:
    """Return a result as a row of the service's Arrow answer."""
    if result.HasField("error"):
        (violation,) = result.error.violations
        return {"error": f"{violation.field}: {violation.description}"}
    made = forecast(result.forecast)
    row = {name: getattr(made, name) for name in ARROW.names if hasattr(made, name)}
    tier = {"user_name": "user+name", "none": "none"}[made.tier]
    return {**row, "tier": tier, "recommended_wallclock_seconds": made.recommended_seconds}


@dataclass
class Peer:
    """What the server saw, and how it shall answer."""

    port: int = 0
    requests: list[Any] = field(default_factory=list)
    jobs: list[dict[str, Any]] = field(default_factory=list)
    """Rows of Arrow that were asked for."""
    refused: dict[str, str] = field(default_factory=dict)
    explanation: Any = field(default_factory=made_explanation)
    tier: int = forecast_pb2.HISTORY_TIER_USER_NAME
    degraded: int = 0
    health: Any = None
    server: Any = None
    models: list[Any] = field(default_factory=made_models)
    credentials: Any = None
    tokens: set[str] = field(default_factory=set)
    """What callers showed."""
    evaluations: dict[str, Any] | None = field(default_factory=lambda: {MODEL: made_evaluation()})
    """By version; None: the service does not know the call."""
    evaluated: list[str] = field(default_factory=list)
    listed: list[Any] | None = field(default_factory=list)
    """Reported jobs; None: the service does not know the call."""
    privacy: int = history_service_pb2.PRIVACY_SHOW
    flow: threading.Event = field(default_factory=threading.Event)
    """Streams wait until it is set."""
    flowing: int = 0
    """Messages of a stream that do not wait."""

    def forecast(self, request: Any) -> forecast_pb2.Forecast:
        """Return quantiles that are shares of 10 h; the chance to exceed is known where a time was requested."""
        answer = forecast_pb2.Forecast(
            median_seconds=18_000,
            interval=forecast_pb2.Interval(lower_seconds=1800, upper_seconds=34_200, nominal_coverage=0.9),
            quantiles=[forecast_pb2.Quantile(level=level, seconds=36_000 * level) for level in LEVELS],
            recommended_wallclock=forecast_pb2.RecommendedWallclock(seconds=39_600, risk=request.risk),
            model_version="20260101T000000Z-00000000",
            tier=self.tier,
            history_jobs=34,
            degraded=self.degraded,
        )
        if request.job.HasField("wallclock_req"):
            answer.probability_exceeds_request = 0.125
        if request.explain and self.explanation is not None:
            answer.explanation.CopyFrom(self.explanation)
        return answer

    def refusal(self) -> Any:
        violation = error_details_pb2.BadRequest.FieldViolation
        detail = any_pb2.Any()
        detail.Pack(
            error_details_pb2.BadRequest(
                field_violations=[violation(field=name, description=text) for name, text in self.refused.items()]
            )
        )
        return rpc_status.to_status(status_pb2.Status(code=code_pb2.INVALID_ARGUMENT, message="no", details=[detail]))

    def start(self) -> None:
        """Listen, on the port of before if there was one."""
        self.server = grpc.server(ThreadPoolExecutor(4))
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(_Prediction(self), self.server)
        history_service_pb2_grpc.add_HistoryServiceServicer_to_server(_History(self), self.server)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(_Model(self), self.server)
        self.health = health.HealthServicer()
        self.health.set("", health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self.server)
        at = f"127.0.0.1:{self.port}"
        plain = self.credentials is None
        self.port = self.server.add_insecure_port(at) if plain else self.server.add_secure_port(at, self.credentials)
        self.server.start()

    def stop(self) -> None:
        self.server.stop(None).wait(10)

    def lose_model(self) -> None:
        self.health.set("", health_pb2.HealthCheckResponse.NOT_SERVING)


class _Prediction(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    def Predict(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's names
        self._peer.requests.append(request)
        if self._peer.refused:
            context.abort_with_status(self._peer.refusal())
        return prediction_service_pb2.PredictResponse(forecast=self._peer.forecast(request))

    def PredictStream(self, requests: Any, context: Any) -> Any:  # noqa: N802
        for number, request in enumerate(requests):
            self._peer.requests.append(request)
            if number >= self._peer.flowing:
                self._peer.flow.wait(60)
            if self._peer.refused:
                context.abort_with_status(self._peer.refusal())
            if request.arrow_jobs:
                answer = {"arrow_results": self._arrow(request)}
            else:
                answer = {"results": [self._result(job, request.risk) for job in request.jobs]}
            yield prediction_service_pb2.PredictStreamResponse(**answer, model_version=MODEL)

    def _result(self, job: Any, risk: float) -> Any:
        if job.nodes_req > MOST_NODES:
            violation = problem_pb2.FieldViolation(field="nodes_req", description=f"must be at most {MOST_NODES}")
            return prediction_service_pb2.PredictResult(error=problem_pb2.RowError(violations=[violation]))
        request = prediction_service_pb2.PredictRequest(job=job, risk=risk)
        return prediction_service_pb2.PredictResult(forecast=self._peer.forecast(request))

    def _arrow(self, request: Any) -> bytes:
        with pa.ipc.open_stream(request.arrow_jobs) as stream:
            jobs = stream.read_all().to_pylist()
        self._peer.jobs += jobs
        rows = []
        for job in jobs:
            message = job_message({name: value for name, value in job.items() if name != "submit_time"})
            result = self._result(message, request.risk)
            rows.append(arrow_row(result))
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, ARROW) as stream:
            stream.write_table(pa.Table.from_pylist(rows, ARROW))
        return sink.getvalue().to_pybytes()


class _History(history_service_pb2_grpc.HistoryServiceServicer):
    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    def ListJobs(self, request: Any, context: Any) -> Any:  # noqa: N802
        if self._peer.listed is None:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "no such call")
        if self._peer.privacy == history_service_pb2.PRIVACY_HIDE and (request.user or request.account):
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "names are hidden")
        found = [one for one in self._peer.listed if request.user in {"", one.job.user}]
        first = int(request.page_token or 0)
        last = first + request.page_size
        return history_service_pb2.ListJobsResponse(
            jobs=found[first:last],
            next_page_token=str(last) if last < len(found) else "",
            privacy=self._peer.privacy,
        )


class _Model(model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    def GetModel(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        self._peer.tokens |= {value for name, value in context.invocation_metadata() if name == "authorization"}
        return model_service_pb2.GetModelResponse(model=next(iter(self._peer.models)))

    def GetEvaluation(self, request: Any, context: Any) -> Any:  # noqa: N802
        if self._peer.evaluations is None:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "no such call")
        self._peer.evaluated.append(request.version)
        return model_service_pb2.GetEvaluationResponse(
            version=request.version, evaluation=self._peer.evaluations.get(request.version)
        )

    def ListModels(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        return model_service_pb2.ListModelsResponse(models=self._peer.models)


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Peer]:
    running = Peer()
    running.flow.set()
    running.start()
    monkeypatch.setenv("RT_PREDICTOR_ADDRESS", f"127.0.0.1:{running.port}")
    monkeypatch.setenv("RT_PREDICTOR_TIMEOUT_SECONDS", "5")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    yield running
    st.cache_resource.clear()
    running.flow.set()
    running.stop()


@pytest.fixture(scope="module")
def served() -> Iterator[Peer]:
    """Return a server for all tests of a module."""
    running = Peer()
    running.flow.set()
    running.start()
    yield running
    running.stop()


@pytest.fixture
def opened(peer: Peer) -> Iterator[AppTest]:
    """Yield the pages that the launcher shows, before the first run, with the service there."""
    assert peer.port
    # Streamlit leaves its script as the main module, which processes of later tests would begin with
    before = sys.modules["__main__"]
    yield AppTest.from_file(str(LAUNCHER), default_timeout=30)
    sys.modules["__main__"] = before


@pytest.fixture
def page(opened: AppTest) -> AppTest:
    """Return the first page."""
    return opened.run()


def find_field(page: AppTest, name: str) -> Any:
    kinds = ("text_input", "number_input", "text_area", "selectbox", "toggle", "slider")
    return next(widget for kind in kinds for widget in page.get(kind) if widget.label == name)


def click(page: AppTest, name: str) -> AppTest:
    return next(button for button in page.button if button.label == name).click().run()


@pytest.fixture
def show(page: AppTest) -> Callable[[str], AppTest]:
    """Return what goes to a page by the last part of its address, which is empty for the first page."""

    def go(path: str) -> AppTest:
        # AppTest.switch_page knows pages that are files alone
        page._page_hash = next(
            number for number, known in page._registered_pages.items() if known["url_pathname"] == path
        )
        return page.run()

    return go


@pytest.fixture
def field() -> Callable[[AppTest, str], Any]:
    """Return what finds a widget by its label."""
    return find_field


@pytest.fixture
def press() -> Callable[[AppTest, str], AppTest]:
    """Return what clicks a button by its label and runs the page."""
    return click


@pytest.fixture
def words() -> Callable[[AppTest], str]:
    """Return what reads all words of a page."""

    def read(page: AppTest) -> str:
        assert [trouble.value for trouble in page.exception] == []
        kinds = ("title", "subheader", "markdown", "caption", "code", "info", "warning", "error", "success")
        return "\n".join(str(element.value) for kind in kinds for element in page.get(kind)).replace("\\", "")

    return read
