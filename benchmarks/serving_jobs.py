"""What is asked of the servers: jobs of a log as messages, as Arrow and as rows of features."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from google.protobuf.timestamp_pb2 import Timestamp

from rt_predictor_core.artifact.load import Artifact, load, newest
from rt_predictor_core.features.table import assemble, used_columns
from rt_predictor_core.requests import NUMBERS, TEXTS, Requests
from rtpredictor.v1 import job_pb2
from rtpredictor.v1 import prediction_service_pb2 as messages

WHOLE = ("wallclock_req", "nodes_req", "processors_req", "gpus_req")
"""Numbers that the contract has as integers."""


@dataclass(frozen=True)
class Asked:
    """Jobs to ask about, and the model to ask.

    Attributes
    ----------
    artifact: the model. jobs: canonical columns of requests, a second between two submits, after all of the log.
    """

    artifact: Artifact
    jobs: pa.Table

    @classmethod
    def of(cls, log: Path, models: Path, jobs: int) -> Asked:
        """Take the newest jobs of a Parquet log; where it has fewer, again and again."""
        artifact = load(newest(models).path)
        rows = pq.read_table(log, columns=[*TEXTS, *NUMBERS])
        rows = rows.take(np.arange(len(rows) - jobs, len(rows)) % len(rows))
        moments = artifact.manifest.last_submit + 86_400 + np.arange(jobs)
        return cls(artifact, rows.append_column("submit_time", pa.array(moments, pa.timestamp("s", tz="UTC"))))

    def messages(self) -> Iterator[job_pb2.Job]:
        """Return the jobs as messages."""
        for row in self.jobs.to_pylist():
            known = {name: value for name, value in row.items() if value is not None and value == value}  # noqa: PLR0124
            moment = Timestamp(seconds=int(known.pop("submit_time").timestamp()))
            yield job_pb2.Job(submit_time=moment, **{name: _fit(name, value) for name, value in known.items()})

    def one_by_one(self) -> list[bytes]:
        """Return a request for each job."""
        return [messages.PredictRequest(job=job).SerializeToString() for job in self.messages()]

    def in_chunks(self, rows: int) -> list[bytes]:
        """Return requests of a stream, so many jobs in each."""
        jobs = list(self.messages())
        chunks = [jobs[first : first + rows] for first in range(0, len(jobs), rows)]
        return [messages.PredictStreamRequest(jobs=chunk).SerializeToString() for chunk in chunks]

    def as_arrow(self) -> bytes:
        """Return one request for all jobs, as a client makes it of a table."""
        (payload,) = self.payloads(self.jobs.num_rows)
        return messages.PredictBatchRequest(arrow_jobs=payload).SerializeToString()

    def payloads(self, rows: int) -> Iterator[bytes]:
        """Yield the jobs as Arrow IPC streams, so many jobs in each."""
        for first in range(0, self.jobs.num_rows, rows):
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, self.jobs.schema) as stream:
                stream.write_table(self.jobs.slice(first, rows))
            yield sink.getvalue().to_pybytes()

    def table(self) -> np.ndarray:
        """Return the rows of the features that the model uses, float32[jobs, features]."""
        requests = Requests.from_arrow(self.jobs)
        table = assemble(requests, self.artifact.history().read(requests))
        return np.ascontiguousarray(table[:, : used_columns(queued=self.artifact.manifest.queued)])


def _fit(name: str, value: str | float) -> str | float:
    return int(value) if name in WHOLE else value
