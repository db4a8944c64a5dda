"""What a state says of the jobs that wait, however late it is asked and in whichever order it was told."""

from __future__ import annotations

from math import log1p
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_predictor_core.features import history as kernel
from rt_predictor_core.features.queued import FEATURES, MOST_CORE_SECONDS, SECONDS_KEPT
from rt_predictor_core.features.table import FIRST_QUEUED, NAMES
from rt_predictor_core.history.state import State, asked_of
from rt_predictor_core.requests import Requests

JOB = {"user": "ada", "wallclock_req": 3600.0, "processors_req": 4.0}
SUBMITS = st.lists(st.integers(0, 60), min_size=1, max_size=80)


def requests(submits: list[int], **changes: Any) -> Requests:
    return Requests.from_rows([{**JOB, **changes, "submit_time": submit} for submit in submits])


def submitted(submits: list[int], **changes: Any) -> State:
    state, told = State(), asked_of(requests(submits, **changes))
    for i in range(len(submits)):
        state.observe_submit(told, i)
    return state


def read(state: State, as_of: int, **changes: Any) -> dict[str, float]:
    row = state.read(requests([as_of], **changes)).features[0, kernel.FEATURES.index(FEATURES[0]) :]
    return dict(zip(FEATURES, row.tolist(), strict=True))


def test_the_columns_of_the_queue_are_the_last_ones() -> None:
    assert NAMES[FIRST_QUEUED:] == FEATURES


def test_jobs_core_hours_and_age_are_of_the_user_of_the_same_request_and_of_the_site() -> None:
    state = submitted([10, 30])
    for others in (requests([50], processors_req=1.0), requests([70], user="bob", wallclock_req=None)):
        state.observe_submit(asked_of(others), 0)
    said = read(state, 100)
    assert [said[f"queued_{whose}_jobs"] for whose in ("user", "alike", "site")] == [3.0, 2.0, 4.0]
    hours = [said[f"queued_{whose}_log_core_hours"] for whose in ("user", "alike", "site")]
    np.testing.assert_allclose(hours, np.log1p([9.0, 8.0, 9.0]), rtol=1e-6)
    ages = [said[f"queued_{whose}_log_mean_age"] for whose in ("user", "alike", "site")]
    np.testing.assert_allclose(ages, np.log1p([70.0, 80.0, 60.0]), rtol=1e-6)


@given(submits=SUBMITS, as_of=st.integers(0, 61))
def test_a_read_counts_exactly_what_was_submitted_before_it_or_knows_nothing(submits: list[int], as_of: int) -> None:
    said = read(submitted(submits), as_of)
    before = [submit for submit in submits if submit < as_of]
    newest = sorted(set(submits))[-SECONDS_KEPT:]
    if not before:
        assert all(np.isnan(value) for value in said.values())
    elif not np.isnan(said["queued_user_jobs"]):
        assert said["queued_user_jobs"] == len(before)
        assert said["queued_user_log_mean_age"] == np.float32(log1p(as_of - sum(before) / len(before)))
    else:
        assert as_of <= newest[0] or submits != sorted(submits)


@given(submits=SUBMITS, seed=st.integers(0, 999))
def test_an_empty_queue_is_empty_again_whatever_the_order(submits: list[int], seed: int) -> None:
    state, told = submitted(submits), asked_of(requests(submits))
    for i in np.random.default_rng(seed).permutation(len(submits)):
        state.observe_leave(told, int(i))
    said = read(state, 1000)
    assert (said["queued_user_jobs"], said["queued_site_log_core_hours"]) == (0.0, 0.0)
    assert len(state.snapshot()["queues"]) == 0


@given(submits=SUBMITS, seed=st.integers(0, 999))
def test_a_restored_queue_goes_on_like_the_one_that_was_kept(submits: list[int], seed: int) -> None:
    state, told = submitted(submits), asked_of(requests(submits))
    restored = State.restore(**state.snapshot())
    for i in np.random.default_rng(seed).permutation(len(submits)):
        for as_of in (1, 30, 100):
            assert str(read(restored, as_of)) == str(read(state, as_of))
        for one in (state, restored):
            one.observe_leave(told, int(i))


def test_users_who_have_nothing_in_the_queue_any_more_take_no_room() -> None:
    state = State()
    for number in range(5000):
        told = asked_of(requests([number], user=f"u{number}"))
        state.observe_submit(told, 0)
        if number % 1000:
            state.observe_leave(told, 0)
    assert len(state._queue.waiting) < 500
    assert read(state, 9999)["queued_site_jobs"] == 5.0
    assert read(state, 9999, user="u4000")["queued_user_jobs"] == 1.0


@pytest.mark.parametrize("unknown", ["user", "wallclock_req", "processors_req"])
def test_what_a_job_does_not_tell_is_unknown_or_counts_nothing(unknown: str) -> None:
    said = read(submitted([10], **{unknown: None}), 100, **{unknown: None})
    assert said["queued_site_jobs"] == 1.0
    assert said["queued_site_log_core_hours"] == (np.float32(log1p(4.0)) if unknown == "user" else 0.0)
    assert np.isnan(said["queued_user_jobs"]) == (unknown == "user")
    assert np.isnan(said["queued_alike_jobs"]) == (unknown in {"user", "wallclock_req"})


def test_an_impossible_job_cannot_spoil_the_sums_of_the_others() -> None:
    state = submitted([10] * 5000, processors_req=1e8, wallclock_req=31_622_400.0)
    said = read(state, 100)
    assert said["queued_site_log_core_hours"] == np.float32(log1p(5000 * MOST_CORE_SECONDS / 3600))
