"""Jobs as tensors of the Open Inference Protocol, and forecasts as tensors; what ``convert`` is to our own contract."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan

import numpy as np
import pyarrow as pa

from open_inference.inference_pb2 import ModelInferRequest, ModelInferResponse, ModelMetadataResponse
from rt_predictor_api import arrow, convert, tensors
from rt_predictor_api.asked import Asked, limit_rows
from rt_predictor_api.engine import Answer
from rt_predictor_api.tensors import Malformed, Values
from rt_predictor_api.validation import InvalidRequest, Violation, few, violations
from rt_predictor_core.artifact.manifest import Manifest
from rt_predictor_core.schema import Column
from rtpredictor.v1.job_pb2 import Job
from rtpredictor.v1.prediction_service_pb2 import PredictRequest

MODEL = "rt-predictor"
"""Name of the only model."""

QUANTILES = "quantiles"

OUTPUTS = {
    "median_seconds": "FP64",
    "most_likely_seconds": "FP64",
    "lower_seconds": "FP64",
    "upper_seconds": "FP64",
    QUANTILES: "FP64",
    "recommended_wallclock_seconds": "UINT32",
    "probability_exceeds_request": "FP64",
    "tier": tensors.BYTES,
    "history_jobs": "UINT32",
    "degraded": tensors.BYTES,
}
"""Columns of an answer, with their datatypes; quantiles has a column per level."""


def asked(request: ModelInferRequest, as_of: int, most_rows: int) -> Asked:
    """Return the rows that a request asks about; one without a submit time is submitted at ``as_of``.

    Raises
    ------
    InvalidRequest
        Naming each tensor that is malformed, unknown or given twice, or has more than ``most_rows`` rows.
    """
    raws: Sequence[bytes | None] = request.raw_input_contents or [None] * len(request.inputs)
    if len(raws) != len(request.inputs):
        text = f"must hold the values of all {len(request.inputs)} inputs, not of {len(raws)}"
        raise _invalid("raw_input_contents", text)
    columns: dict[str, pa.Array] = {}
    broken = []
    for tensor, raw in zip(request.inputs, raws, strict=True):
        try:
            columns[tensor.name] = _column(tensor, raw, most_rows, columns)
        except Malformed as malformed:
            broken.append(Violation(_field(tensor.name), str(malformed)))
    if not request.inputs:
        broken.append(Violation("inputs", f"must hold a tensor at least; known are {', '.join(arrow.KNOWN)}"))
    if broken:
        raise few(broken, "inputs")
    return arrow.asked(pa.table(columns), as_of)


def refuse_bad_rows(rows: Asked) -> None:
    """Do nothing where all rows are good: the protocol has no errors of single rows, so that one fails the call.

    Raises
    ------
    InvalidRequest
        Naming tensor, row and rule.
    """
    if rows.errors:
        told = [
            Violation(_field(one.field), f"row {row}: {one.description}")
            for row, broken in sorted(rows.errors.items())
            for one in broken
        ]
        raise few(told, "inputs")


def wanted(request: ModelInferRequest) -> list[str]:
    """Return the outputs that a request wants, in its order; all where it names none. Raises InvalidRequest."""
    names = [output.name for output in request.outputs]
    broken = [
        Violation(f"outputs.{name[:80]}", f"unknown output; known are {', '.join(OUTPUTS)}")
        for name in names
        if name not in OUTPUTS
    ]
    broken += [Violation(f"outputs.{name}", "is wanted twice") for name in OUTPUTS if names.count(name) > 1]
    if broken:
        raise few(broken, "inputs")
    return names or list(OUTPUTS)


def risk(request: ModelInferRequest, default: float) -> float:
    """Return the accepted risk, from the parameter ``risk``. Raises InvalidRequest for a bad or another parameter."""
    unknown = sorted(name for name in request.parameters if name != "risk")
    if unknown:
        broken = [Violation(f"parameters.{name[:80]}", "unknown parameter; known is risk") for name in unknown]
        raise few(broken, "parameters")
    if "risk" not in request.parameters:
        return default
    given = request.parameters["risk"]
    kind = given.WhichOneof("parameter_choice")
    try:
        value = float(getattr(given, kind)) if kind in {"double_param", "string_param"} else nan
    except ValueError:
        value = nan
    # the contract's own rule, under the name that it has here
    broken = violations(PredictRequest(job=Job(), risk=value))
    if broken:
        raise few([Violation("parameters.risk", one.description) for one in broken], "parameters")
    return value


def response(request: ModelInferRequest, answer: Answer, accepted: float, names: Sequence[str]) -> ModelInferResponse:
    """Return the forecasts of all rows as the outputs ``names``, with values where the request had them."""
    told = ModelInferResponse(model_name=MODEL, model_version=answer.version, id=request.id)
    told.parameters["risk"].double_param = accepted
    values = {**convert.columns(answer, accepted), QUANTILES: answer.forecasts.quantiles}
    for name in names:
        tensors.write(told, name, OUTPUTS[name], values[name], raw=bool(request.raw_input_contents))
        if name == QUANTILES:
            told.outputs[-1].parameters["levels"].string_param = _levels(answer.forecasts.levels)
    return told


def metadata(manifest: Manifest) -> ModelMetadataResponse:
    """Return what is told of the model that answers."""
    described = ModelMetadataResponse(name=MODEL, versions=[manifest.version], platform=MODEL)
    for column in arrow.KNOWN.values():
        described.inputs.add(name=column.name, datatype=_datatypes(column)[-1], shape=[-1])
    for name, datatype in OUTPUTS.items():
        shape = [-1, len(manifest.levels)] if name == QUANTILES else [-1]
        described.outputs.add(name=name, datatype=datatype, shape=shape)
    described.properties["quantile_levels"] = _levels(manifest.levels)
    return described


def _column(
    tensor: ModelInferRequest.InferInputTensor, raw: bytes | None, most_rows: int, others: dict[str, pa.Array]
) -> pa.Array:
    column = arrow.KNOWN.get(tensor.name)
    if column is None:
        raise Malformed(f"unknown tensor; known are {', '.join(arrow.KNOWN)}")
    if tensor.name in others:
        raise Malformed("occurs more than once")
    rows = tensors.row_count(tensor.shape)
    limit_rows(_field(tensor.name), rows, most_rows, "max_batch_rows")
    for other, values in others.items():
        if len(values) != rows:
            raise Malformed(f"must have {len(values)} rows as {other} has, not {rows}")
    return _array(tensors.read(tensor, raw, _datatypes(column)), column)


def _array(values: Values, column: Column) -> pa.Array:
    """Return values as a column of Arrow; a NaN is unknown."""
    if column.unit == "text":
        return pa.array([_text(row, value) for row, value in enumerate(values)], pa.string())
    numbers = np.asarray(values)
    if column.unit == "time":
        return pa.array(numbers.astype(np.int64)).cast(column.type)
    return pa.array(numbers.astype(np.float64), from_pandas=True)


def _text(row: int, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise Malformed(f"row {row}: must be UTF-8") from None


def _datatypes(column: Column) -> tuple[str, ...]:
    """Return what a column may be; the last is what it is said to be."""
    if column.unit == "text":
        return (tensors.BYTES,)
    return tensors.INTEGERS if column.unit == "time" else tensors.NUMBERS


def _levels(levels: Sequence[float] | np.ndarray) -> str:
    return ",".join(f"{level:.6g}" for level in levels)


def _field(name: str) -> str:
    return f"inputs.{name[:80]}"


def _invalid(field: str, description: str) -> InvalidRequest:
    return InvalidRequest([Violation(field, description)])
