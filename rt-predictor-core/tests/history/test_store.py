"""What the store takes of the reports on one job, which may come twice, late, or in any order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_predictor_core.features import history
from rt_predictor_core.history.events import Event
from rt_predictor_core.history.state import State
from rt_predictor_core.history.store import MemoryStore
from rt_predictor_core.requests import Requests, identity

SUBMITTED: dict[str, object] = {"start_time": None, "end_time": None, "state": None}
STARTED: dict[str, object] = {"end_time": None, "state": None}
WITHDRAWN: dict[str, object] = {"start_time": None, "state": "CANCELLED"}


def event(**change: object) -> Event:
    job = {"user": "ada", "wallclock_req": 600.0}
    values = {"job_id": "1", "submit_time": 100, "start_time": 110, "end_time": 170, "state": "COMPLETED", "job": job}
    return Event(cluster="", **{**values, **change})  # type: ignore[arg-type]


def waiting(store: MemoryStore, user: str = "ada") -> float:
    """What the queue holds of a user as of a moment long after."""
    rows = store.read(Requests.from_rows([{"user": user, "submit_time": 10_000}]))
    return float(rows.features[0, history.FEATURES.index("queued_user_jobs")])


def observed(*events: Event) -> tuple[MemoryStore, list[bool]]:
    store = MemoryStore(State(), np.zeros(0, np.uint64), known_from=50)
    return store, [store.observe([one])[0] for one in events]


@pytest.mark.parametrize("leaves", [STARTED, {}, WITHDRAWN, {"end_time": 49, "start_time": 49}])
def test_a_job_waits_until_it_starts_ends_or_is_withdrawn(leaves: dict[str, object]) -> None:
    store, _ = observed(event(**SUBMITTED), event(job_id="2", **SUBMITTED), event(**leaves))
    assert waiting(store) == 1.0


@pytest.mark.parametrize("leaves", [STARTED, {}, WITHDRAWN])
def test_events_that_come_twice_or_late_move_the_queue_once(leaves: dict[str, object]) -> None:
    other, submitted, left = event(job_id="2", **SUBMITTED), event(**SUBMITTED), event(**leaves)
    store, new = observed(other, submitted, submitted, left, left, submitted)
    assert (waiting(store), new) == (1.0, [True, True, False, True, False, False])
    store, new = observed(other, left, submitted, left)
    assert (waiting(store), new) == (1.0, [True, True, False, False])


def test_a_withdrawal_of_a_job_that_has_started_changes_nothing() -> None:
    _, new = observed(event(**STARTED), event(**WITHDRAWN), event())
    assert new == [True, False, True]


def test_a_job_leaves_the_queue_as_it_entered_whatever_became_of_its_request() -> None:
    changed: dict[str, object] = {"user": "ada", "wallclock_req": 60.0, "processors_req": 7.0}
    store, _ = observed(event(**SUBMITTED), event(**STARTED, job=changed))
    rows = store.read(Requests.from_rows([{**changed, "submit_time": 999}]))
    queued = [name.startswith("queued_") and not name.endswith("age") for name in history.FEATURES]
    assert (rows.features[0, queued] == 0.0).all()


def test_a_submission_of_a_job_that_the_log_held_puts_nothing_into_the_queue() -> None:
    store = MemoryStore(State(), np.array([identity("1", 100)], np.uint64), known_from=50)
    assert store.observe([event(**SUBMITTED), event(job_id="2", **SUBMITTED)]) == [False, True]
    assert waiting(store) == 1.0


@pytest.mark.parametrize("told", [[{}], [STARTED, {}], [SUBMITTED, STARTED, {}]])
def test_a_job_that_took_no_time_teaches_nothing_and_neither_runs_nor_waits(told: list[dict[str, object]]) -> None:
    store, new = observed(event(job_id="2", **SUBMITTED), *(event(**{"end_time": 110, **one}) for one in told))
    rows = store.read(Requests.from_rows([{"user": "ada", "wallclock_req": 600.0, "submit_time": 10_000}]))
    assert all(new)
    assert (rows.tier[0], rows.jobs[0], waiting(store)) == (0, 0, 1.0)
    running = rows.features[0, history.FEATURES.index("now_running")]
    assert np.isnan(running) or running == 0.0


@given(told=st.lists(st.tuples(st.integers(1, 4), st.sampled_from([0, 1, 2, 3])), max_size=30))
def test_whatever_the_order_a_job_waits_if_its_submission_alone_was_told(told: list[tuple[int, int]]) -> None:
    kinds: tuple[dict[str, object], ...] = (SUBMITTED, STARTED, {}, WITHDRAWN)
    first = event(job_id="first", job={"user": "bob"}, **SUBMITTED)
    store, _ = observed(first, *(event(job_id=str(job), **kinds[kind]) for job, kind in told))
    left = {job for job, kind in told if kind}
    assert waiting(store) == len({job for job, _ in told} - left)
    # nothing of a job that left is kept
    assert len(store._waiting) == 1 + waiting(store)
