"""How much one caller may ask per second."""

from __future__ import annotations

from typing import Any

import grpc
import pyarrow as pa
import pytest

from open_inference.inference_pb2 import ModelInferRequest
from rt_predictor_api.front import FORWARDED
from rt_predictor_api.interceptors.rates import ROWS_PER_CALL
from rt_predictor_api.interceptors.rows import rows_of
from rt_predictor_api.metrics import Metrics
from rt_predictor_api.security.callers import address
from rt_predictor_api.security.guard import Guard
from rt_predictor_api.settings import of_one_worker, read
from rtpredictor.v1.history_service_pb2 import ReportJobsRequest
from rtpredictor.v1.model_service_pb2 import GetModelRequest
from rtpredictor.v1.prediction_service_pb2 import PredictBatchRequest, PredictRequest, PredictStreamRequest

SLOW = {"rate_per_second": 0.01, "rate_burst": 3}
"""Nothing is refilled while a test runs."""


def arrow_jobs(rows: int) -> bytes:
    sink = pa.BufferOutputStream()
    table = pa.table({"nodes_req": pa.array([1] * rows, pa.int64())})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=7)
    return bytes(sink.getvalue())


def test_what_passes_the_burst_is_refused_at_once_and_told_when_to_come_again(
    served: Any, job: Any, refusal: Any
) -> None:
    with served(**SLOW) as client:
        for _ in range(3):
            client.prediction.Predict(PredictRequest(job=job()))
        refused = refusal(lambda: client.prediction.Predict(PredictRequest(job=job())))
        assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "RATE_EXCEEDED")
        assert "RT_PREDICTOR_RATE_PER_SECOND" in refused.text
        assert 90 < refused.retry_seconds <= 100
        assert client.value('rtpredictor_calls_refused_total{reason="rate_exceeded"}') == 1
        assert client.status() == "SERVING", "health costs nothing"


def test_who_waits_as_long_as_told_is_answered(served: Any, until: Any, refusal: Any) -> None:
    def answered(client: Any) -> bool:
        try:
            return bool(client.model.GetModel(GetModelRequest()))
        except grpc.RpcError:
            return False

    with served(rate_per_second=5, rate_burst=1) as client:
        refused = refusal(lambda: [client.model.GetModel(GetModelRequest()) for _ in range(100)])
        assert 0 < refused.retry_seconds <= 0.2
        until(lambda: answered(client), "an answer")


def test_each_identity_has_a_budget_of_its_own(served: Any, refusal: Any, access_file: Any) -> None:
    path, tokens = access_file(portal="predict", slurm="predict")
    with served(**SLOW, access_file=path) as client:
        portal, slurm = client.bearer(tokens["portal"]), client.bearer(tokens["slurm"])
        for _ in range(3):
            portal.model.GetModel(GetModelRequest())
        assert refusal(lambda: portal.model.GetModel(GetModelRequest())).reason == "RATE_EXCEEDED"
        assert slurm.model.GetModel(GetModelRequest())
        # a second connection is no second budget
        again = client.bearer(tokens["portal"])
        assert refusal(lambda: again.model.GetModel(GetModelRequest())).reason == "RATE_EXCEEDED"


def test_without_identities_an_address_has_one_budget_whatever_its_connections(served: Any, refusal: Any) -> None:
    with served(**SLOW) as client:
        for _ in range(3):
            client.bearer("").model.GetModel(GetModelRequest())
        assert refusal(lambda: client.bearer("").model.GetModel(GetModelRequest())).reason == "RATE_EXCEEDED"


@pytest.mark.parametrize("kind", ["rows", "arrow"])
def test_a_batch_is_answered_and_paid_for_afterwards(served: Any, job: Any, refusal: Any, kind: str) -> None:
    rows = 10 * ROWS_PER_CALL
    batch = {"jobs": [job()] * rows} if kind == "rows" else {"arrow_jobs": arrow_jobs(rows)}
    with served(**SLOW) as client:
        assert client.prediction.PredictBatch(PredictBatchRequest(**batch)).model_version
        refused = refusal(lambda: client.prediction.Predict(PredictRequest(job=job())))
        # it cost 1 + 10 of 3, so that 9 are lacking for the next
        assert 800 < refused.retry_seconds <= 900


def test_every_message_of_a_stream_costs_and_what_was_answered_stays(
    served: Any, job: Any, event: Any, refusal: Any
) -> None:
    with served(**SLOW) as client:
        responses = client.prediction.PredictStream(iter([PredictStreamRequest(jobs=[job()])] * 10))
        refused = refusal(lambda: [next(responses) for _ in range(10)])
        assert refused.reason == "RATE_EXCEEDED"
        assert client.value('rtpredictor_forecasts_total{tier="none"}') in {2, 3}
        assert refusal(lambda: client.report(event(1))).reason == "RATE_EXCEEDED"
        assert client.value("rtpredictor_journal_events") == 0


@pytest.mark.parametrize("rows", [0, 1, 500])
def test_rows_are_counted_in_every_message(job: Any, event: Any, rows: int) -> None:
    assert rows_of(PredictBatchRequest(jobs=[job()] * rows)) == rows
    assert rows_of(PredictBatchRequest(arrow_jobs=arrow_jobs(rows))) == rows
    assert rows_of(PredictStreamRequest(jobs=[job()] * rows)) == rows
    assert rows_of(PredictStreamRequest(arrow_jobs=arrow_jobs(rows))) == rows
    assert rows_of(ReportJobsRequest(events=[event(1)] * rows)) == rows
    assert rows_of(PredictRequest(job=job())) == 0


def test_a_message_that_is_refused_for_its_rows_costs_no_more_than_the_largest(served: Any, job: Any) -> None:
    with served(**SLOW, max_batch_rows=10, max_arrow_rows=10) as client:
        with pytest.raises(grpc.RpcError):
            client.prediction.PredictBatch(PredictBatchRequest(jobs=[job()] * 5_000))
        assert client.prediction.Predict(PredictRequest(job=job()))


def test_tensors_have_the_rows_that_they_say() -> None:
    tensor = ModelInferRequest.InferInputTensor
    assert rows_of(ModelInferRequest(inputs=[tensor(shape=[7, 1]), tensor(shape=[7])])) == 7
    assert rows_of(ModelInferRequest(inputs=[tensor(shape=[-7]), tensor()])) == 0


@pytest.mark.parametrize("cut", [1, 9, 100, 333, -1])
def test_bytes_that_are_no_stream_have_no_rows(cut: int) -> None:
    assert rows_of(PredictBatchRequest(arrow_jobs=b"\xff" + arrow_jobs(50)[:cut])) == 0


@pytest.mark.parametrize(("workers", "each"), [(1, 8), (2, 4), (4, 2), (16, 1)])
def test_workers_share_a_callers_budget(workers: int, each: int) -> None:
    shared = of_one_worker(read({"rate_per_second": 0.001, "rate_burst": 8, "workers": workers}), 50_051)
    assert shared.rate_per_second == pytest.approx(0.001 / workers)
    (rates,) = Guard(shared, Metrics()).last
    assert sum(rates._budgets.spend("portal") == 0 for _ in range(20)) == each


class Peer:
    def __init__(self, name: str, forwarded: str) -> None:
        self._name = name
        self._forwarded = forwarded

    def peer(self) -> str:
        return self._name

    def invocation_metadata(self) -> list[tuple[str, str]]:
        return [("user-agent", "grpc"), *([(FORWARDED, self._forwarded)] if self._forwarded else [])]


@pytest.mark.parametrize(
    ("peer", "forwarded", "told"),
    [
        ("ipv4:192.0.2.7:4711", "", "192.0.2.7"),
        ("ipv4:192.0.2.7:4711", "ipv4:192.0.2.8:4711", "192.0.2.7"),
        ("ipv6:%5B2001:db8::1%5D:42662", "", "2001:db8::1"),
        ("unix:", "", "unix"),
        ("unix:", "ipv4:192.0.2.8:4711", "192.0.2.8"),
        ("unix:", "ipv6:%5B2001:db8::1%5D:42662", "2001:db8::1"),
    ],
)
def test_an_address_is_told_without_its_port_by_nginx_alone(peer: str, forwarded: str, told: str) -> None:
    assert address(Peer(peer, forwarded)) == told
