"""Reported jobs: used by the next forecast, counted once, kept over a restart."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rt_predictor_core.history.events import Kind
from rt_predictor_core.history.journal import Journal
from rtpredictor.v1 import forecast_pb2, job_pb2
from rtpredictor.v1.history_service_pb2 import ReportJobsRequest
from rtpredictor.v1.prediction_service_pb2 import PredictRequest


def forecast(client: Any, job: Any, **fields: Any) -> forecast_pb2.Forecast:
    return client.prediction.Predict(PredictRequest(job=job(**fields))).forecast


def test_two_reported_ends_change_the_next_forecast(served: Any, job: Any, event: Any) -> None:
    with served() as client:
        before = forecast(client, job)
        answer = client.report(event(1, run_time=60), event(2, run_time=70))
        assert (answer.accepted, answer.duplicates, answer.rejected_total) == (2, 0, 0)
        after = forecast(client, job)
        other = forecast(client, job, user="grace")
        client.report(event(3, run_time=6_900, user="grace"), event(4, run_time=7_000, user="grace"))
        long = forecast(client, job, user="grace")
    assert (before.tier, before.history_jobs) == (forecast_pb2.HISTORY_TIER_NONE, 0)
    assert (after.tier, after.history_jobs) == (forecast_pb2.HISTORY_TIER_USER_NAME_REQUEST, 2)
    assert after.median_seconds != before.median_seconds
    assert other.tier == forecast_pb2.HISTORY_TIER_NONE
    assert long.median_seconds > after.median_seconds


def test_an_event_counts_once_however_often_it_is_reported(served: Any, job: Any, event: Any) -> None:
    with served() as client:
        first = client.report(event(1), event(1), event(2))
        known = forecast(client, job)
        again = client.report(event(2), event(1))
        assert (first.accepted, first.duplicates) == (2, 1)
        assert (again.accepted, again.duplicates) == (0, 2)
        assert forecast(client, job) == known
        assert known.history_jobs == 2
        assert client.value("rtpredictor_journal_events") == 2


def test_a_start_and_its_end_are_two_events(served: Any, event: Any) -> None:
    with served() as client:
        assert client.report(event(1, run_time=None)).accepted == 1
        assert client.report(event(1, run_time=None)).duplicates == 1
        assert client.report(event(1)).accepted == 1
        assert client.report(event(1, run_time=None)).duplicates == 1


def waits(event: Any, number: int) -> job_pb2.JobEvent:
    """Return the submission of a job."""
    return bad(event, number, start_time=None, end_time=None, state=None)


def withdrawn(event: Any, number: int) -> job_pb2.JobEvent:
    """Return a job's withdrawal."""
    return bad(event, number, start_time=None, state=job_pb2.JOB_STATE_CANCELLED)


def test_submission_start_and_end_are_three_events_and_a_withdrawal_no_run(served: Any, job: Any, event: Any) -> None:
    with served() as client:
        submitted, started = waits(event, 1), event(1, run_time=None)
        answers = [client.report(one) for one in (submitted, submitted, started, submitted, event(1), started)]
        assert [answer.accepted for answer in answers] == [1, 0, 1, 0, 1, 0]
        assert client.report(waits(event, 2), withdrawn(event, 2), withdrawn(event, 3)).accepted == 3
        assert forecast(client, job).history_jobs == 1
        learned = {kind: client.value(f'rtpredictor_learned_events_total{{kind="{kind}"}}') for kind in Kind}
        assert learned == {"submitted": 2, "started": 1, "ended": 1, "withdrawn": 2}
        compared = [
            client.value(f'rtpredictor_live_ends_total{{forecast="{when}",interval="{side}"}}')
            for when in ("earlier", "at_end")
            for side in ("below", "inside", "above")
        ]
        # the submission was reported, so that what was said of it came before its end
        assert (sum(compared[:3]), sum(compared[3:])) == (1, 0)


def test_the_same_job_of_another_cluster_is_another_job(served: Any, event: Any) -> None:
    with served() as client:
        elsewhere = event(1)
        elsewhere.cluster = "second"
        assert client.report(event(1), elsewhere).accepted == 2


def test_many_messages_of_one_call_are_answered_together(served: Any, job: Any, event: Any) -> None:
    with served() as client:
        requests = [ReportJobsRequest(events=[event(3 * n + k) for k in range(3)]) for n in range(20)]
        assert client.history.ReportJobs(iter(requests)).accepted == 60
        assert forecast(client, job).history_jobs == 60


def test_a_call_without_messages_reports_nothing(served: Any) -> None:
    with served() as client:
        assert client.history.ReportJobs(iter([])).accepted == 0


def bad(event: Any, number: int, **changes: Any) -> job_pb2.JobEvent:
    made = event(number)
    for path, value in changes.items():
        part, _, name = path.rpartition("__")
        target = getattr(made, part) if part else made
        if value is None:
            target.ClearField(name)
        elif name.endswith("_time"):
            getattr(target, name).FromSeconds(value)
        else:
            setattr(target, name, value)
    return made


BAD: list[tuple[str, dict[str, Any]]] = [
    ("job_id", {"job__job_id": None}),
    ("submit_time", {"job__submit_time": None}),
    ("completed_ran", {"start_time": None}),
    ("end_after_submit", {"start_time": None, "end_time": 1_000, "state": job_pb2.JOB_STATE_CANCELLED}),
    ("start_after_submit", {"start_time": 1_000}),
    ("end_after_start", {"end_time": 1_000}),
    ("state", {"state": 99}),
    ("cluster", {"cluster": "x" * 257}),
    ("job.nodes_req", {"job__nodes_req": 0}),
    ("end_time", {"end_time": 4_102_444_800}),
]


@pytest.mark.parametrize(("field", "changes"), BAD, ids=[field for field, _ in BAD])
def test_a_bad_event_is_rejected_by_itself(served: Any, event: Any, field: str, changes: dict[str, Any]) -> None:
    with served() as client:
        answer = client.report(event(1), bad(event, 2, **changes), event(3))
    assert (answer.accepted, answer.rejected_total) == (2, 1)
    (rejected,) = answer.rejected
    assert rejected.position == 1
    assert [violation.field for violation in rejected.error.violations] == [field]


def test_an_event_without_a_job_is_rejected(served: Any) -> None:
    with served() as client:
        (rejected,) = client.report(job_pb2.JobEvent()).rejected
    assert "job" in {violation.field for violation in rejected.error.violations}


def test_positions_count_over_the_call_and_a_thousand_rejections_are_listed(served: Any, event: Any) -> None:
    with served() as client:
        wrong = ReportJobsRequest(events=[bad(event, 1, job__job_id=None)] * 700)
        answer = client.history.ReportJobs(iter([ReportJobsRequest(events=[event(1)]), wrong, wrong]))
        assert client.value('rtpredictor_reported_events_total{outcome="rejected"}') == 1_400
    assert (answer.accepted, answer.rejected_total, len(answer.rejected)) == (1, 1_400, 1_000)
    assert [one.position for one in answer.rejected] == list(range(1, 1_001))


def test_more_events_than_the_limit_are_refused_and_what_came_before_is_kept(
    served: Any, event: Any, refusal: Any
) -> None:
    with served(max_batch_rows=2) as client:
        requests = [ReportJobsRequest(events=[event(1)]), ReportJobsRequest(events=[event(n) for n in range(2, 5)])]
        refused = refusal(lambda: client.history.ReportJobs(iter(requests)))
        assert set(refused.fields) == {"events"}
        assert "RT_PREDICTOR_MAX_BATCH_ROWS" in refused.text
        assert client.report(event(1), event(2)).duplicates == 1


def test_reports_are_known_after_a_restart(served: Any, job: Any, event: Any) -> None:
    with served() as client:
        client.report(event(1, run_time=300), event(2, run_time=None), event(3, run_time=320))
        known = forecast(client, job)
    with served() as client:
        assert forecast(client, job) == known
        assert client.report(event(1), event(2, run_time=None)).duplicates == 2
        assert client.report(event(2)).accepted == 1


def test_a_journal_that_cannot_be_written_is_the_administrators_and_named_in_the_log(
    served: Any, event: Any, refusal: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rt_predictor_core.history.journal.BUSY_SECONDS", 0.05)
    with served() as client:
        other = sqlite3.connect(tmp_path / "history" / "journal.sqlite3", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        refused = refusal(lambda: client.report(event(1)))
        other.close()
        assert (refused.code, refused.reason) == ("UNAVAILABLE", "HISTORY_NOT_WRITABLE")
        assert str(tmp_path) not in refused.text
        assert refused.parts == {}
        assert client.report(event(1)).accepted == 1


def test_a_job_that_the_training_log_holds_is_known(served: Any, log: Path) -> None:
    import pyarrow.parquet as pq

    jobs = pq.read_table(log).slice(3_000).to_pylist()
    row = next(row for row in jobs if row["start_time"] and row["end_time"] and row["run_time"])
    made = job_pb2.JobEvent(job=job_pb2.Job(job_id=str(row["job_id"]), user=row["user"]))
    made.job.submit_time.FromDatetime(row["submit_time"])
    made.start_time.FromDatetime(row["start_time"])
    made.end_time.FromDatetime(row["end_time"])
    with served() as client:
        assert client.report(made).duplicates == 1


def covered(client: Any, event: Any, number: int, run_time: int) -> bool:
    """Ask for a job's forecast, report its end, and return whether the interval covered it."""
    ended = event(number, run_time=run_time)
    interval = client.prediction.Predict(PredictRequest(job=ended.job)).forecast.interval
    client.report(ended)
    return bool(interval.lower_seconds <= run_time <= interval.upper_seconds)


def test_reported_ends_bring_the_intervals_to_what_they_say(served: Any, event: Any) -> None:
    random = np.random.default_rng(3)
    # longer than any job of the training log's kind: the model of the log alone would be wrong
    runs = np.clip(random.lognormal(8.3, 0.5, 1200), 60, 7000).astype(int).tolist()
    with served() as client:
        hits = [covered(client, event, number, run) for number, run in enumerate(runs)]
    assert abs(np.mean(hits[-600:]) - 0.9) < 0.05


def lessons(history: Path) -> int:
    """Return how many entries of the journal taught the calibration something."""
    journal = Journal(history / "journal.sqlite3")
    taught = sum(entry.lesson is not None for entry in journal.replay())
    journal.close()
    return taught


def test_a_restart_keeps_the_calibration(served: Any, job: Any, event: Any, tmp_path: Path) -> None:
    with served() as client:
        for number in range(10):
            client.report(event(number, run_time=7000))
        client.report(event(1, run_time=7000), event(50, run_time=0), event(51, run_time=None))
        before = forecast(client, job)
    assert lessons(tmp_path / "history") == 10, "a duplicate, a start and a job that took no time teach nothing"
    with served() as client:
        assert forecast(client, job) == before


def test_without_its_lessons_the_calibration_begins_again(served: Any, job: Any, event: Any, tmp_path: Path) -> None:
    """The forecasts above rest on them: the same events without lessons give another forecast."""
    with served() as client:
        for number in range(10):
            client.report(event(number, run_time=7000))
        before = forecast(client, job)
    taught, untaught = (Journal(tmp_path / name / "journal.sqlite3") for name in ("history", "untaught"))
    untaught.append([entry.event for entry in taught.replay()])
    taught.close()
    untaught.close()
    with served(history=tmp_path / "untaught") as client:
        after = forecast(client, job)
    assert after.history_jobs == before.history_jobs
    assert after.quantiles != before.quantiles
