"""A valid message, at least one, of every call that the service answers."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import small_model
from google.protobuf.message import Message

from open_inference import inference_pb2 as inference
from rtpredictor.v1 import history_service_pb2 as history
from rtpredictor.v1 import job_pb2
from rtpredictor.v1 import model_service_pb2 as model
from rtpredictor.v1 import prediction_service_pb2 as prediction

NOW = small_model.NOW


def job(**change: Any) -> job_pb2.Job:
    """Return a job of a user whom the model knows."""
    told = {"user": "u1", "wallclock_req": 7200, "nodes_req": 2, "processors_req": 72, "gpus_req": 1, "mem_req": 4000.0}
    texts = {"partition": "short", "qos": "normal", "account": "physics", "name": "run_1", "work_dir": "/home/u1"}
    made = job_pb2.Job(**{**told, **texts, "submit_line": "sbatch run.sh", "job_id": "77", **change})
    made.submit_time.FromSeconds(NOW)
    return made


def event(number: int) -> job_pb2.JobEvent:
    """Return the end of a job."""
    told = job_pb2.JobEvent(cluster="c", job=job(job_id=str(number)), state=job_pb2.JOB_STATE_COMPLETED)
    told.start_time.FromSeconds(NOW + 5)
    told.end_time.FromSeconds(NOW + 605)
    return told


def arrow_table() -> pa.Table:
    """Return two jobs as a table with every kind of column that a payload may have."""
    return pa.table(
        {
            "job_id": pa.array(["a", None]),
            "user": pa.array(["u1", "u2"]).dictionary_encode(),
            "name": pa.array(["run_1", None], pa.large_string()),
            "account": pa.array(["physics", "an account that is no inlined view"], pa.string_view()),
            "qos": pa.nulls(2),
            "wallclock_req": pa.array([3600, None], pa.uint32()),
            "nodes_req": pa.array([1.0, 2.0], pa.float32()),
            "processors_req": pa.array([4, 8], pa.int64()),
            "submit_time": pa.array([NOW, NOW + 1], pa.timestamp("s", tz="UTC")),
        }
    )


def arrow_stream(table: pa.Table, **options: Any) -> bytes:
    """Return a table as an Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def infer(*, raw: bool) -> inference.ModelInferRequest:
    """Return a question of the Open Inference Protocol about two jobs."""
    asked = inference.ModelInferRequest(model_name="rt-predictor", id="1")
    asked.parameters["risk"].double_param = 0.2
    user = asked.inputs.add(name="user", datatype="BYTES", shape=[2])
    wallclock = asked.inputs.add(name="wallclock_req", datatype="INT64", shape=[2, 1])
    asked.outputs.add(name="median_seconds")
    asked.outputs.add(name="quantiles")
    if raw:
        asked.raw_input_contents.extend([b"\2\0\0\0u1\2\0\0\0u2", (3600).to_bytes(8, "little") * 2])
    else:
        user.contents.bytes_contents.extend([b"u1", b"u2"])
        wallclock.contents.int64_contents.extend([3600, 7200])
    return asked


def of_calls() -> dict[str, list[Message]]:
    """Return valid messages by the full name of the method that takes them."""
    rows = prediction.PredictBatchRequest(jobs=[job(), job(user="new")], risk=0.1)
    columns = prediction.PredictBatchRequest(arrow_jobs=arrow_stream(arrow_table()))
    some_rows = prediction.PredictStreamRequest(jobs=[job()], risk=0.3)
    some_columns = prediction.PredictStreamRequest(arrow_jobs=columns.arrow_jobs, risk=0.3)
    named = {"name": "rt-predictor", "version": small_model.VERSION}
    own, public = "/rtpredictor.v1.", "/inference.GRPCInferenceService/"
    return {
        f"{own}PredictionService/Predict": [
            prediction.PredictRequest(job=job(), risk=0.3),
            prediction.PredictRequest(job=job(), explain=True),
        ],
        f"{own}PredictionService/PredictBatch": [rows, columns],
        f"{own}PredictionService/PredictStream": [some_rows, some_columns],
        f"{own}PredictionService/PredictRemaining": [
            prediction.PredictRemainingRequest(job=job(), elapsed_seconds=60.0, risk=0.3)
        ],
        f"{own}HistoryService/ReportJobs": [history.ReportJobsRequest(events=[event(1), event(2)])],
        f"{own}HistoryService/ListJobs": [
            history.ListJobsRequest(),
            history.ListJobsRequest(user="u1", account="a", page_size=2, page_token="WzEsICJhIiwgImIiXQ=="),
        ],
        f"{own}ModelService/GetModel": [model.GetModelRequest(version=small_model.VERSION)],
        f"{own}ModelService/ListModels": [model.ListModelsRequest()],
        f"{own}ModelService/GetEvaluation": [model.GetEvaluationRequest(version=small_model.VERSION)],
        f"{public}ServerLive": [inference.ServerLiveRequest()],
        f"{public}ServerReady": [inference.ServerReadyRequest()],
        f"{public}ModelReady": [inference.ModelReadyRequest(**named)],
        f"{public}ServerMetadata": [inference.ServerMetadataRequest()],
        f"{public}ModelMetadata": [inference.ModelMetadataRequest(**named)],
        f"{public}ModelInfer": [infer(raw=True), infer(raw=False)],
    }
