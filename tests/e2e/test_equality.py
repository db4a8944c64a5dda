"""Training-serving equality: what the backtest says of a job is what the service answers, over hundreds of jobs.

The service hears of every submission, before it is asked about the job, whether the model makes use of it or not.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from rt_predictor_core.artifact.load import Artifact, newest
from rt_predictor_core.features.history import END, LEAVE, START, SUBMIT
from rt_predictor_core.features.table import FIRST_QUEUED, NAMES
from rt_predictor_core.history.state import State
from rt_predictor_core.models.forecast import Forecasts
from rt_predictor_core.sources import open_log
from rt_predictor_training.course import Course
from rt_predictor_training.ingest import Intake, Jobs, ingest
from rt_predictor_training.profiles import load_profile
from rt_predictor_training.walk import Block, Walk
from rtpredictor.v1 import (
    history_service_pb2,
    history_service_pb2_grpc,
    job_pb2,
    prediction_service_pb2,
    prediction_service_pb2_grpc,
)

if TYPE_CHECKING:
    from conftest import Command, MakeMessage, Server

LATE_JOBS = 500
GAP = timedelta(days=60)
"""A maintenance window: whatever was submitted before it has ended when the first job after it is submitted."""
TIMES = ("submit_time", "start_time", "end_time")


@dataclass(frozen=True)
class Parts:
    """An artifact, the log it was trained on, and what came later."""

    models: Path
    early: Path
    late: Path


@pytest.fixture(params=["--no-queued", "--queued"])
def parts(log: Path, profile: Path, command: Command, tmp_path: Path, request: pytest.FixtureRequest) -> Parts:
    """Train on all but the newest jobs of the log; the newest are submitted after a gap."""
    table = pq.read_table(log).sort_by("submit_time")
    # sacct tells the tasks of an array apart, the synthetic log does not
    names = pa.array([str(number) for number in range(len(table))])
    table = table.set_column(table.schema.get_field_index("job_id"), "job_id", names)
    split = len(table) - LATE_JOBS
    late = table.slice(split)
    for name in TIMES:
        late = late.set_column(late.schema.get_field_index(name), name, pc.add(late[name], pa.scalar(GAP)))
    made = Parts(tmp_path / "models", tmp_path / "early.parquet", tmp_path / "late.parquet")
    pq.write_table(table.slice(0, split), made.early)
    pq.write_table(late, made.late)
    order = ("--data", made.early, "--models", made.models, "--profile", profile, request.param)
    done = command("rt-predictor-train", *order)
    assert done.returncode == 0, done.stderr
    return made


@pytest.fixture
def models(parts: Parts) -> Path:
    """Return what the server of these tests serves."""
    return parts.models


class Published:
    """The members of an artifact, in the place of some that a walk would fit."""

    def __init__(self, artifact: Artifact, course: Course) -> None:
        self._forecaster, self._table = artifact.forecaster, course.table

    def load(self, block: Block) -> dict[str, np.ndarray]:
        """See ``walk.Memory``."""
        table = self._table[block.first : block.last]
        said = {name: member.evaluate(table) for name, member in self._forecaster.members.items()}
        return {**said, "chance": self._forecaster.chance.evaluate(table)}

    def save(self, block: Block, said: dict[str, np.ndarray]) -> None:
        """See ``walk.Memory``."""


def backtested(parts: Parts, profile: Path) -> tuple[Jobs, Course, Forecasts]:
    """Return the log, its jobs that ran, and what a backtest with the artifact's models says of those after the gap."""
    jobs = ingest(Intake([parts.early, parts.late], chunk_rows=1000), lambda *_: None)
    course = Course.of(jobs, State())
    artifact = newest(parts.models)
    first = int(np.searchsorted(course.submit, artifact.manifest.last_submit, side="right"))
    assert course.end[:first].max() < course.submit[first]
    block = Block(first, len(course), fit=False)
    walk = Walk(course, load_profile(str(profile)), [block], lambda _: None, Published(artifact, course))
    walk.forecaster = artifact.forecaster
    # not the first block, from which calibration begins anew
    walk.step(1, block)
    return jobs, course, walk.forecasts(slice(0, len(walk.raw)))


class Replayed:
    """The jobs as the service meets them: submitted, started, ended or withdrawn, in the order of the log."""

    def __init__(self, parts: Parts, server: Server, request_message: MakeMessage) -> None:
        self._message = request_message
        batches = list(open_log([parts.early, parts.late], chunk_rows=1000, timezone="UTC", rejects=None))
        rows = pa.Table.from_batches(batches).sort_by("submit_time").to_pylist()
        self._rows = [row | {name: _seconds(row[name]) for name in TIMES} for row in rows]
        channel = grpc.insecure_channel(server.address)
        self._predictions = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        self._history = history_service_pb2_grpc.HistoryServiceStub(channel)

    def submit(self, row: int) -> Any:
        """Ask for a forecast."""
        request = prediction_service_pb2.PredictRequest(job=self._job(row))
        return self._predictions.Predict(request, timeout=10).forecast

    def report(self, row: int, *times: str, state: str | None = None) -> None:
        """Report what happened to a job: which of its times are told says what."""
        told = self._rows[row]
        event = job_pb2.JobEvent(job=self._job(row), **{name: {"seconds": told[name]} for name in times})
        if state:
            event.state = job_pb2.JobState.Value(f"JOB_STATE_{state}")
        answer = self._history.ReportJobs(iter([history_service_pb2.ReportJobsRequest(events=[event])]), timeout=10)
        assert answer.accepted == 1, answer

    def ended(self, row: int) -> None:
        """Report that a job ended."""
        self.report(row, "start_time", "end_time", state=self._rows[row]["state"])

    def withdrawn(self, row: int, left: int) -> None:
        """Report that a job left the queue and did not run."""
        self._rows[row]["end_time"] = left
        self.report(row, "end_time", state="CANCELLED")

    def _job(self, row: int) -> job_pb2.Job:
        told = self._rows[row]
        job: job_pb2.Job = self._message(told, told["submit_time"])
        job.job_id = told["job_id"]
        return job


def _seconds(time: datetime | None) -> int | None:
    return None if time is None else int(time.timestamp())


def test_what_the_backtest_says_is_what_the_service_answers(
    parts: Parts, server: Server, profile: Path, request_message: MakeMessage
) -> None:
    jobs, course, expected = backtested(parts, profile)
    replayed = Replayed(parts, server, request_message)
    events, ran = jobs.events, np.flatnonzero(jobs.events.ran)
    first = int(np.searchsorted(events.submit, course.submit[-len(expected)]))
    place = np.full(len(events), -1)
    place[ran[-len(expected) :]] = np.arange(len(expected))
    answers: dict[int, Any] = {}
    # of what waits nothing is known before the first submission that is told
    never_ran = int(np.flatnonzero(~events.ran[:first])[-1])
    replayed.report(never_ran)
    replayed.withdrawn(never_ran, int(events.submit[never_ran]))
    for kind, row in zip(*events.events(), strict=True):
        if row < first:
            continue
        if kind == SUBMIT:
            if events.queued[row] or events.ran[row]:
                replayed.report(row)
            if place[row] >= 0:
                answers[place[row]] = replayed.submit(row)
        elif kind == START:
            replayed.report(row, "start_time")
        elif kind == END:
            replayed.ended(row)
        elif kind == LEAVE:
            replayed.withdrawn(row, int(events.start[row] if events.start[row] >= 0 else events.end[row]))
    assert len(answers) == len(expected) > LATE_JOBS / 2
    told = [answers[number] for number in range(len(expected))]
    np.testing.assert_array_equal([[one.seconds for one in answer.quantiles] for answer in told], expected.quantiles)
    interval = [(answer.interval.lower_seconds, answer.interval.upper_seconds) for answer in told]
    np.testing.assert_array_equal(interval, expected.interval)
    np.testing.assert_array_equal([answer.most_likely_seconds for answer in told], expected.most_likely)
    np.testing.assert_array_equal([answer.probability_exceeds_request for answer in told], expected.exceeds)
    np.testing.assert_array_equal([answer.recommended_wallclock.seconds for answer in told], expected.wallclock(0.1))
    # calibration moved on the way, and the history with it: else this would show little
    assert len({answer.history_jobs for answer in told}) > 1
    assert np.ptp(expected.read, axis=0).max() > 0.0
    waiting = course.table[-len(expected) :, FIRST_QUEUED:]
    assert np.nanmax(waiting[:, NAMES.index("queued_user_jobs") - FIRST_QUEUED]) > 1.0
    assert (events.queued & ~events.ran)[first:].any()
