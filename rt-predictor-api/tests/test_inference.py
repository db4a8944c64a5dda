"""The Open Inference Protocol over a real socket: the forecasts of PredictBatch, as tensors."""

from __future__ import annotations

import math
import struct
import sys
from typing import Any

import numpy as np
import pytest

from open_inference import inference_pb2 as oip
from rt_predictor_api.open_inference import OUTPUTS
from rt_predictor_api.validation import LISTED_VIOLATIONS
from rt_predictor_core.features.keys import TIERS
from rt_predictor_core.schema import COLUMNS
from rtpredictor.v1.model_service_pb2 import GetModelRequest
from rtpredictor.v1.prediction_service_pb2 import PredictBatchRequest

NOW = 1_700_000_000
MODEL = "rt-predictor"
FIELDS = {
    "BYTES": "bytes_contents",
    "FP64": "fp64_contents",
    "FP32": "fp32_contents",
    "INT64": "int64_contents",
    "UINT32": "uint_contents",
}
FORMATS = {"FP64": "d", "FP32": "f", "INT64": "q", "UINT32": "I"}
Column = tuple[str, list[Any]]


def rows(count: int) -> dict[str, Column]:
    return {
        "user": ("BYTES", [f"user{n % 4}".encode() for n in range(count)]),
        "name": ("BYTES", [f"relax_{n}".encode() for n in range(count)]),
        "job_id": ("BYTES", [b""] * count),
        "wallclock_req": ("FP64", [600.0 * (n + 1) if n % 3 else math.nan for n in range(count)]),
        "nodes_req": ("UINT32", [n + 1 for n in range(count)]),
        "processors_req": ("INT64", [36 * (n + 1) for n in range(count)]),
        "mem_req": ("FP32", [0.5 * n for n in range(count)]),
        "submit_time": ("INT64", [NOW + n for n in range(count)]),
    }


def encoded(datatype: str, values: list[Any]) -> bytes:
    if datatype == "BYTES":
        return b"".join(struct.pack("<I", len(value)) + value for value in values)
    return struct.pack(f"<{len(values)}{FORMATS[datatype]}", *values)


def request(columns: dict[str, Column], *outputs: str, raw: bool = False, **fields: Any) -> oip.ModelInferRequest:
    made = oip.ModelInferRequest(**{"model_name": MODEL, **fields})
    for name, (datatype, values) in columns.items():
        tensor = made.inputs.add(name=name, datatype=datatype, shape=[len(values)])
        if raw:
            made.raw_input_contents.append(encoded(datatype, values))
        else:
            getattr(tensor.contents, FIELDS[datatype]).extend(values)
    for name in outputs:
        made.outputs.add(name=name)
    return made


def values_of(response: oip.ModelInferResponse) -> dict[str, list[Any]]:
    """Return each output as a list; read with the standard library alone."""
    found: dict[str, list[Any]] = {}
    for number, output in enumerate(response.outputs):
        if not response.raw_output_contents:
            found[output.name] = list(getattr(output.contents, FIELDS[output.datatype]))
            continue
        raw, values, at = response.raw_output_contents[number], [], 0
        if output.datatype != "BYTES":
            found[output.name] = [value for (value,) in struct.iter_unpack(f"<{FORMATS[output.datatype]}", raw)]
            continue
        while at < len(raw):
            (length,) = struct.unpack_from("<I", raw, at)
            values.append(raw[at + 4 : at + 4 + length])
            at += 4 + length
        found[output.name] = values
    return found


@pytest.mark.parametrize("raw", [False, True])
def test_the_forecasts_are_those_of_a_batch_to_the_bit(client: Any, job: Any, raw: bool) -> None:  # noqa: FBT001
    columns = rows(30)
    response = client.inference.ModelInfer(
        request(columns, raw=raw, id="seven", parameters={"risk": oip.InferParameter(double_param=0.2)})
    )
    assert (response.model_name, response.id, response.parameters["risk"].double_param) == (MODEL, "seven", 0.2)
    assert bool(response.raw_output_contents) is raw
    jobs = []
    for row in range(30):
        fields = {name: values[row] for name, (_, values) in columns.items()}
        texts = {name: value.decode() for name, value in fields.items() if isinstance(value, bytes)}
        limit = None if math.isnan(fields["wallclock_req"]) else int(fields["wallclock_req"])
        jobs.append(job(**{**fields, **texts, "wallclock_req": limit}))
    batch = client.prediction.PredictBatch(PredictBatchRequest(jobs=jobs, risk=0.2))
    forecasts = [result.forecast for result in batch.results]
    limited = [forecast.HasField("probability_exceeds_request") for forecast in forecasts]
    told = values_of(response)
    chances = told.pop("probability_exceeds_request")
    assert [chance for chance, known in zip(chances, limited, strict=True) if known] == [
        forecast.probability_exceeds_request for forecast, known in zip(forecasts, limited, strict=True) if known
    ]
    assert [math.isnan(chance) for chance in chances] == [not known for known in limited]
    assert told == {
        "median_seconds": [forecast.median_seconds for forecast in forecasts],
        "most_likely_seconds": [forecast.most_likely_seconds for forecast in forecasts],
        "lower_seconds": [forecast.interval.lower_seconds for forecast in forecasts],
        "upper_seconds": [forecast.interval.upper_seconds for forecast in forecasts],
        "quantiles": [quantile.seconds for forecast in forecasts for quantile in forecast.quantiles],
        "recommended_wallclock_seconds": [forecast.recommended_wallclock.seconds for forecast in forecasts],
        "tier": [TIERS[forecast.tier - 1].encode() for forecast in forecasts],
        "history_jobs": [forecast.history_jobs for forecast in forecasts],
        "degraded": [b"" if known else b"no_wallclock_requested" for known in limited],
    }
    assert response.model_version == batch.model_version
    (quantiles,) = [output for output in response.outputs if output.name == "quantiles"]
    levels = [quantile.level for quantile in forecasts[0].quantiles]
    assert list(quantiles.shape) == [30, len(levels)]
    assert [float(level) for level in quantiles.parameters["levels"].string_param.split(",")] == pytest.approx(levels)


def test_a_column_may_have_a_second_dimension_of_one(client: Any) -> None:
    flat, tall = request(rows(3)), request(rows(3))
    for tensor in tall.inputs:
        tensor.shape.append(1)
    assert client.inference.ModelInfer(flat).outputs[0] == client.inference.ModelInfer(tall).outputs[0]


def test_absent_columns_are_unknown(client: Any, job: Any) -> None:
    response = client.inference.ModelInfer(request({"user": ("BYTES", [b"ada"]), "submit_time": ("INT64", [NOW])}))
    unknown = dict.fromkeys(("wallclock_req", "nodes_req", "processors_req", "name"))
    batch = client.prediction.PredictBatch(PredictBatchRequest(jobs=[job(**unknown)]))
    assert values_of(response)["median_seconds"] == [batch.results[0].forecast.median_seconds]
    assert values_of(response)["degraded"] == [b"no_wallclock_requested"]


def test_wanted_outputs_come_in_the_order_they_are_wanted(client: Any) -> None:
    response = client.inference.ModelInfer(request(rows(2), "tier", "median_seconds"))
    assert [output.name for output in response.outputs] == ["tier", "median_seconds"]
    raw = client.inference.ModelInfer(request(rows(2), "tier", "median_seconds", raw=True))
    assert values_of(raw) == values_of(response)


def test_the_default_risk_is_the_services(client: Any) -> None:
    assert client.inference.ModelInfer(request(rows(1))).parameters["risk"].double_param == 0.1


def test_a_risk_may_be_text_for_clients_without_doubles(client: Any) -> None:
    response = client.inference.ModelInfer(
        request(rows(1), parameters={"risk": oip.InferParameter(string_param="0.25")})
    )
    assert response.parameters["risk"].double_param == 0.25


@pytest.mark.parametrize("version", ["", "current"])
def test_the_model_answers_by_its_version(client: Any, version: str) -> None:
    current = client.model.GetModel(GetModelRequest()).model.version
    asked = version and current
    assert client.inference.ModelInfer(request(rows(1), model_version=asked)).model_version == current
    assert client.inference.ModelMetadata(oip.ModelMetadataRequest(name=MODEL, version=asked)).versions == [current]
    assert client.inference.ModelReady(oip.ModelReadyRequest(name=MODEL, version=asked)).ready


@pytest.mark.parametrize(("name", "version"), [("resnet", ""), ("", ""), (MODEL, "1")])
def test_no_other_model_answers(client: Any, refusal: Any, name: str, version: str) -> None:
    for call in (
        lambda: client.inference.ModelInfer(request(rows(1), model_name=name, model_version=version)),
        lambda: client.inference.ModelMetadata(oip.ModelMetadataRequest(name=name, version=version)),
    ):
        refused = refusal(call)
        assert (refused.code, refused.reason) == ("NOT_FOUND", "MODEL_UNKNOWN")
    assert not client.inference.ModelReady(oip.ModelReadyRequest(name=name, version=version)).ready


def test_the_service_and_its_model_describe_themselves(client: Any) -> None:
    assert client.inference.ServerLive(oip.ServerLiveRequest()).live
    assert client.inference.ServerReady(oip.ServerReadyRequest()).ready
    assert client.inference.ServerMetadata(oip.ServerMetadataRequest()).name == MODEL
    described = client.inference.ModelMetadata(oip.ModelMetadataRequest(name=MODEL))
    inputs = {tensor.name: tensor.datatype for tensor in described.inputs}
    kinds = {"text": "BYTES", "time": "INT64"}
    assert inputs == {column.name: kinds.get(column.unit, "FP64") for column in COLUMNS if column.at_submit}
    assert {tensor.name: tensor.datatype for tensor in described.outputs} == OUTPUTS
    shapes = {tensor.name: list(tensor.shape) for tensor in described.outputs}
    levels = described.properties["quantile_levels"].split(",")
    assert shapes.pop("quantiles") == [-1, len(levels)]
    assert {tuple(shape) for shape in shapes.values()} == {(-1,)}


def changed(**changes: Column | None) -> oip.ModelInferRequest:
    return request({name: column for name, column in {**rows(2), **changes}.items() if column is not None})


def doubled() -> oip.ModelInferRequest:
    made = request(rows(2))
    made.inputs.append(made.inputs[0])
    return made


def both() -> oip.ModelInferRequest:
    made = request(rows(2), raw=True)
    made.inputs[0].contents.bytes_contents.extend([b"a", b"b"])
    return made


def few_raw() -> oip.ModelInferRequest:
    made = request(rows(2), raw=True)
    del made.raw_input_contents[-1]
    return made


@pytest.mark.parametrize(
    ("bad", "field", "words"),
    [
        (request({}), "inputs", "a tensor at least"),
        (changed(user=("FP64", [1.0, 2.0])), "inputs.user", "must be BYTES, not 'FP64'"),
        (changed(submit_time=("FP64", [1.0, 2.0])), "inputs.submit_time", "not 'FP64'"),
        (changed(colour=("BYTES", [b"red", b"blue"])), "inputs.colour", "unknown tensor"),
        (changed(run_time=("FP64", [1.0, 2.0])), "inputs.run_time", "unknown tensor"),
        (changed(nodes_req=("UINT32", [1])), "inputs.nodes_req", "2 rows as user has, not 1"),
        (changed(user=("BYTES", [b"ada", b"\xff"])), "inputs.user", "row 1: must be UTF-8"),
        (doubled(), "inputs.user", "occurs more than once"),
        (both(), "inputs.user", "not in both"),
        (few_raw(), "raw_input_contents", "all 8 inputs, not of 7"),
        (request(rows(501)), "inputs.user", "501 rows are more than 500"),
        (request(rows(2), "mean"), "outputs.mean", "unknown output"),
        (request(rows(2), "tier", "tier"), "outputs.tier", "wanted twice"),
        (request(rows(2), parameters={"rsik": oip.InferParameter(double_param=0.1)}), "parameters.rsik", "unknown"),
        # bad rows: the protocol has no errors of single rows
        (changed(nodes_req=("UINT32", [1, 0])), "inputs.nodes_req", "row 1: must be greater than or equal to 1"),
        (changed(mem_req=("FP32", [-1.0, 0.0])), "inputs.mem_req", "row 0: must be"),
        (changed(mem_req=("FP64", [math.inf, 0.0])), "inputs.mem_req", "row 0: must be"),
        (changed(user=("BYTES", [b"a", b"x" * 257])), "inputs.user", "row 1: must be at most 256"),
        (changed(submit_time=("INT64", [NOW, -1])), "inputs.submit_time", "row 1: must lie between"),
        (changed(submit_time=("INT64", [2**63 - 1, NOW])), "inputs.submit_time", "row 0: must lie between"),
    ],
)
def test_what_is_malformed_is_named(client: Any, refusal: Any, bad: Any, field: str, words: str) -> None:
    refused = refusal(lambda: client.inference.ModelInfer(bad))
    assert refused.code == "INVALID_ARGUMENT"
    assert set(refused.fields) == {field}
    assert words in refused.fields[field]


@pytest.mark.parametrize(
    "parameter", [{"double_param": 0.6}, {"double_param": math.nan}, {"string_param": "low"}, {"int64_param": 1}, {}]
)
def test_a_bad_risk_is_named(client: Any, refusal: Any, parameter: dict[str, Any]) -> None:
    bad = request(rows(1), parameters={"risk": oip.InferParameter(**parameter)})
    assert set(refusal(lambda: client.inference.ModelInfer(bad)).fields) == {"parameters.risk"}


def test_many_bad_rows_are_told_in_few_words(client: Any, refusal: Any) -> None:
    bad = request({"nodes_req": ("UINT32", [0] * 400)})
    before = client.value('rtpredictor_rows_rejected_total{rpc="ModelInfer"}')
    refused = refusal(lambda: client.inference.ModelInfer(bad))
    assert refused.fields["inputs"] == f"and {400 - LISTED_VIOLATIONS} more"
    assert client.value('rtpredictor_rows_rejected_total{rpc="ModelInfer"}') == before + 400


def test_many_unknown_tensors_are_told_in_few_words(client: Any, refusal: Any) -> None:
    bad = request({f"{n:04}{'x' * 100}": ("FP64", [1.0]) for n in range(3000)}, *(str(n) for n in range(3000)))
    assert len(refusal(lambda: client.inference.ModelInfer(bad)).fields) == LISTED_VIOLATIONS + 1
    del bad.outputs[:]
    assert len(refusal(lambda: client.inference.ModelInfer(bad)).fields) == LISTED_VIOLATIONS + 1


def test_bytes_that_are_no_message_are_refused(client: Any, refusal: Any) -> None:
    call = client.channel.unary_unary(
        "/inference.GRPCInferenceService/ModelInfer",
        request_serializer=lambda data: data,
        response_deserializer=oip.ModelInferResponse.FromString,
    )
    assert refusal(lambda: call(b"\xff\xff\xff")).reason == "MESSAGE_MALFORMED"


def test_as_many_rows_as_a_batch_may_have_are_answered(client: Any) -> None:
    told = values_of(client.inference.ModelInfer(request(rows(500), raw=True)))
    assert len(told["median_seconds"]) == 500
    assert np.isfinite(told["median_seconds"]).all()


def test_the_service_is_described_while_its_files_are_replaced(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])  # nothing is found on disk
    assert client.inference.ServerMetadata(oip.ServerMetadataRequest()).version
