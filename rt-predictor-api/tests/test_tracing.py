"""Spans reach a real collector of OpenTelemetry, and say how a call went, but not what was asked or by whom."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import MessageToJson
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from rt_predictor_api.server import Service
from rt_predictor_api.settings import read
from rt_predictor_formats.errors import Problem
from rtpredictor.v1.model_service_pb2 import GetModelRequest
from rtpredictor.v1.prediction_service_pb2 import PredictRequest, PredictStreamRequest

PREDICT = "rtpredictor.v1.PredictionService/Predict"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """The service that every OpenTelemetry collector has, which keeps what it gets."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.server = grpc.server(ThreadPoolExecutor(2))
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(self, self.server)
        self.port = self.server.add_insecure_port("127.0.0.1:0")

    def Export(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802 - the protocol's
        self.requests.append(request)
        return trace_service_pb2.ExportTraceServiceResponse()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def spans(self, name: str = "") -> list[Span]:
        resources = [one for request in list(self.requests) for one in request.resource_spans]
        found = [span for one in resources for scope in one.scope_spans for span in scope.spans]
        return [span for span in found if name in span.name]


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    made.server.start()
    try:
        yield made
    finally:
        made.server.stop(None).wait()


def attributes(span: Span) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


def test_each_call_is_a_span_that_says_how_it_went_and_no_more(
    served: Any, collector: Collector, job: Any, event: Any, until: Any
) -> None:
    with served(traces_endpoint=collector.endpoint) as client:
        client.prediction.Predict(PredictRequest(job=job(user="mallory", account="secret_project")))
        client.report(event(1, user="mallory"))
        with pytest.raises(grpc.RpcError):
            client.prediction.Predict(PredictRequest(job=job(user="z" * 300)))
        until(lambda: len(collector.spans()) >= 3, "three spans")
        good, bad = sorted(collector.spans(PREDICT), key=lambda span: span.start_time_unix_nano)
        (report,) = collector.spans("ReportJobs")
    known = {"rpc.system": "grpc", "rpc.service": "rtpredictor.v1.PredictionService", "rpc.method": "Predict"}
    assert attributes(good) == known | {"rpc.grpc.status_code": 0}
    assert attributes(bad) == known | {"rpc.grpc.status_code": grpc.StatusCode.INVALID_ARGUMENT.value[0]}
    assert bad.status.code == Status.STATUS_CODE_UNSET, "the caller's mistake is no error of the service"
    for span in (good, bad, report):
        assert span.kind == Span.SPAN_KIND_SERVER
        assert span.end_time_unix_nano > span.start_time_unix_nano
        assert not span.events
    told = "".join(MessageToJson(request) for request in collector.requests)
    assert [word for word in ("mallory", "secret_project", "relax_7", "zzz", "127.0.0.1") if word in told] == []
    (resource,) = {json.dumps(sorted(attributes(r.resource_spans[0].resource).items())) for r in collector.requests}
    assert dict(json.loads(resource))["service.name"] == "rt-predictor-api"


def test_a_failure_of_the_service_is_an_error(served: Any, collector: Collector, tmp_path: Path, until: Any) -> None:
    with served(traces_endpoint=collector.endpoint, models=tmp_path / "none", wait_for_model=True) as client:
        until(lambda: client.status() == "NOT_SERVING", "the service to answer")
        with pytest.raises(grpc.RpcError):
            client.model.GetModel(GetModelRequest())
        until(lambda: collector.spans("GetModel"), "a span")
        (span,) = collector.spans("GetModel")
        assert span.status.code == Status.STATUS_CODE_ERROR
        assert attributes(span)["rpc.grpc.status_code"] == grpc.StatusCode.UNAVAILABLE.value[0]
        assert collector.spans("Health") == [], "probes are no calls"


def test_a_span_belongs_to_the_trace_of_whoever_asks(served: Any, collector: Collector, job: Any) -> None:
    with served(traces_endpoint=collector.endpoint, traces_share=0.0) as client:
        request = PredictRequest(job=job())
        client.prediction.Predict(request)  # nobody traces it: a share of nothing
        client.prediction.Predict(request, metadata=[("traceparent", f"00-{TRACE}-{PARENT}-00")])  # told not to
        client.prediction.Predict(request, metadata=[("traceparent", "what is this")])
        client.prediction.Predict(request, metadata=[("traceparent", f"00-{TRACE}-{PARENT}-01")])
    # the end of the service sends what waits
    (span,) = collector.spans()
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)


def test_a_stream_is_one_span(served: Any, collector: Collector, job: Any) -> None:
    with served(traces_endpoint=collector.endpoint) as client:
        rows = [PredictStreamRequest(jobs=[job(name=f"n{number}")]) for number in range(5)]
        assert len(list(client.prediction.PredictStream(iter(rows)))) == 5
    assert [span.name for span in collector.spans()] == ["rtpredictor.v1.PredictionService/PredictStream"]


def test_a_collector_that_is_away_holds_up_neither_calls_nor_the_end(served: Any, job: Any) -> None:
    with served(traces_endpoint="http://127.0.0.1:9") as client:
        for _ in range(50):
            client.prediction.Predict(PredictRequest(job=job()), timeout=60)
        begun = time.monotonic()
    # two batches at most, of two seconds each; what is more is the machine's
    assert time.monotonic() - begun < 25


@pytest.mark.parametrize("endpoint", ["collector:4317", "ftp://collector", "http://", "4317"])
def test_an_address_that_is_none_ends_the_start(endpoint: str, tmp_path: Path) -> None:
    chosen = read({"traces_endpoint": endpoint, "history": tmp_path, "models": tmp_path, "port": 0, "metrics_port": 0})
    with pytest.raises(Problem, match="RT_PREDICTOR_TRACES_ENDPOINT"):
        Service(chosen)


def test_without_a_collector_nothing_is_loaded_or_surrounded(served: Any) -> None:
    program = "import sys, rt_predictor_api.server; print([name for name in sys.modules if 'opentelemetry' in name])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    with served() as client:
        assert client.service._spans == []


def test_several_workers_send_spans(
    environment: dict[str, str], start: Any, collector: Collector, job: Any, until: Any
) -> None:
    environment["RT_PREDICTOR_TRACES_ENDPOINT"] = collector.endpoint
    running = start("--workers", "2")
    running.prediction.Predict(PredictRequest(job=job()))
    until(lambda: collector.spans(PREDICT), "a span", 60)
    assert running.end() == 0
