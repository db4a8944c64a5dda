"""What callers send of users and jobs, and their tokens, is in no line of the log and in no metric."""

from __future__ import annotations

import itertools
import json
import re
from contextlib import suppress
from typing import Any

import grpc
import pyarrow as pa

from open_inference.inference_pb2 import ModelInferRequest
from open_inference.inference_pb2_grpc import GRPCInferenceServiceStub
from rt_predictor_api.interceptors.errors import origin
from rtpredictor.v1.history_service_pb2 import ListJobsRequest, ReportJobsRequest
from rtpredictor.v1.model_service_pb2 import GetEvaluationRequest, GetModelRequest, ListModelsRequest
from rtpredictor.v1.prediction_service_pb2 import (
    PredictBatchRequest,
    PredictRemainingRequest,
    PredictRequest,
    PredictStreamRequest,
)

MARK = "zuse7konrad"
TEXTS = ("user", "account", "partition", "qos", "name", "work_dir", "job_id", "cluster")
SECRET = {field: f"{MARK}_{field}" for field in TEXTS}
BAD = ({}, {"nodes_req": 0}, {"user": f"{MARK}\n" * 2_000}, {"wallclock_req": 1}, {"submit_time": None})


def arrow_jobs(**columns: Any) -> bytes:
    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def payloads() -> list[bytes]:
    good = {"user": [f"{MARK}_user"], "nodes_req": [1]}
    made = [arrow_jobs(**good), arrow_jobs(**good | {"nodes_req": [0]}), arrow_jobs(**{f"{MARK}_column": [1]})]
    return [*made, made[0][:-20], MARK.encode()]


def inference(client: Any) -> Any:
    """Yield calls of the public protocol: a good row, a bad one, an unknown input, an unknown model."""
    infer = GRPCInferenceServiceStub(client.channel).ModelInfer
    nodes = ModelInferRequest.InferInputTensor(name="nodes_req", datatype="INT64", shape=[1])
    for name, count, model in (("user", 1, ""), ("user", 0, ""), (f"{MARK}_input", 1, ""), ("user", 1, MARK)):
        text = ModelInferRequest.InferInputTensor(name=name, datatype="BYTES", shape=[1])
        text.contents.bytes_contents.append(MARK.encode())
        nodes.contents.int64_contents[:] = [count]
        request = ModelInferRequest(model_name=model or "rt-predictor", inputs=[text, nodes])
        yield lambda request=request: infer(request)


def calls(client: Any, job: Any, event: Any) -> Any:
    """Yield calls of every method with the mark in all that is text, good ones and bad ones."""
    known = {name: value for name, value in SECRET.items() if name in job().DESCRIPTOR.fields_by_name}
    jobs = [job(**known | bad) for bad in BAD]
    events = [event(number, **{name: known[name] for name in known if name != "job_id"} | bad)
              for number, bad in enumerate(BAD[:-1])]  # fmt: skip
    for one in jobs:
        yield lambda one=one: client.prediction.Predict(PredictRequest(job=one))
        yield lambda one=one: client.prediction.Predict(PredictRequest(job=one, explain=True))
        yield lambda one=one: client.prediction.PredictRemaining(PredictRemainingRequest(job=one, elapsed_seconds=5))
        yield lambda one=one: list(client.prediction.PredictStream(iter([PredictStreamRequest(jobs=[one])])))
    yield lambda: client.prediction.PredictBatch(PredictBatchRequest(jobs=jobs))
    for payload in payloads():
        yield lambda payload=payload: client.prediction.PredictBatch(PredictBatchRequest(arrow_jobs=payload))
        asked = PredictStreamRequest(arrow_jobs=payload)
        yield lambda asked=asked: list(client.prediction.PredictStream(iter([asked])))
    yield from inference(client)
    yield lambda: client.history.ReportJobs(iter([ReportJobsRequest(events=events)] * 2))
    for asked in ({"user": f"{MARK}_user"}, {"account": MARK * 40}, {"page_token": MARK}):
        yield lambda asked=asked: client.history.ListJobs(ListJobsRequest(**asked))
    yield lambda: client.model.GetModel(GetModelRequest(version=MARK))
    yield lambda: client.model.ListModels(ListModelsRequest())
    yield lambda: client.model.GetEvaluation(GetEvaluationRequest(version=MARK))
    for method, path in itertools.product(("Predict", MARK), ("PredictionService", MARK)):
        raw = client.channel.unary_unary(f"/rtpredictor.v1.{path}/{method}")
        yield lambda raw=raw: raw(MARK.encode(), timeout=10)


def test_no_line_and_no_metric_holds_what_was_sent(start: Any, access_file: Any, job: Any, event: Any) -> None:
    path, tokens = access_file(portal="predict,report,history")
    service = start(
        "--log-level", "debug", RT_PREDICTOR_REQUEST_LOG_LEVEL="debug", RT_PREDICTOR_ACCESS_FILE=str(path)
    )  # fmt: skip
    outcomes = set()
    for client in (service.bearer(tokens["portal"]), service.bearer(f"{MARK}_token")):
        for call in calls(client, job, event):
            try:
                call()
                outcomes.add("OK")
            except grpc.RpcError as error:
                outcomes.add(error.code().name)
    assert outcomes >= {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "UNAUTHENTICATED"}
    scraped = service.scrape()
    assert 'rpc="ReportJobs"' in scraped
    assert 'rtpredictor_requests_total{code="OK",rpc="ModelInfer"} 1.0' in scraped
    assert service.end() == 0
    logged = json.dumps(service.lines())
    assert logged.count('"event": "call"') > 20
    for text in (logged, scraped):
        assert not re.search(MARK, text, re.IGNORECASE)
        assert tokens["portal"] not in text


def test_an_unforeseen_error_is_logged_without_its_text(served: Any, job: Any, caplog: Any) -> None:
    with served() as client:
        engine = client.service._engine
        good, engine._replica = engine._replica, MARK  # a part that does not fit
        with suppress(grpc.RpcError):
            client.prediction.Predict(PredictRequest(job=job()))
        engine._replica = good
    (failed,) = [record.msg for record in caplog.records if record.levelname == "ERROR"]
    assert failed["reason"] == "INTERNAL"
    assert failed["exception"].endswith("AttributeError")
    assert "engine.py" in failed["exception"]
    assert MARK not in str(failed)


def test_the_origin_of_an_error_tells_its_chain_by_type_and_place() -> None:
    def fail() -> None:
        try:
            int(MARK)
        except ValueError as error:
            raise KeyError(MARK) from error

    try:
        fail()
    except KeyError as error:
        text = origin(error)
    assert text.index("ValueError") < text.index("KeyError")
    assert text.count("test_privacy.py") == 3
    assert MARK not in text
