"""What a state keeps, how it grows, and what of it comes back from a snapshot."""

from collections.abc import Callable
from math import log1p
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from rt_predictor_core.features import history as kernel
from rt_predictor_core.features import neighbours
from rt_predictor_core.features.keys import TIER_KEYS, keys_of
from rt_predictor_core.history.log import EventLog
from rt_predictor_core.history.state import Ended, State, asked_of
from rt_predictor_core.requests import Requests

RandomLog = Callable[[int, int], tuple[Requests, EventLog]]
JOB = {"user": "ada", "name": "a", "wallclock_req": 60.0, "processors_req": 1.0, "submit_time": 0}


def asked(**changes: Any) -> Requests:
    return Requests.from_rows([{**JOB, **changes}])


def end(state: State, run: float, **changes: Any) -> None:
    state.observe_end(asked_of(asked(**changes)), 0, Ended(end=10, run=run, failed=False))


def read(state: State, feature: str, **changes: Any) -> float:
    rows = state.read(asked(submit_time=100, **changes))
    return float(rows.features[0, kernel.FEATURES.index(feature)])


def test_a_state_grows_without_forgetting() -> None:
    requests = Requests.from_rows([{"user": f"u{i}", "submit_time": 0} for i in range(3000)])
    state, told = State(), asked_of(requests)
    for i in range(len(requests)):
        state.observe_start(told, i, 3)
        state.observe_end(told, i, Ended(end=10, run=5.0 + i, failed=False, start_seen=3 if i % 2 else None))
    rows = state.read(requests)
    assert (rows.jobs == 1).all()
    newest = rows.features[:, kernel.FEATURES.index("near_q50_log")]
    np.testing.assert_array_equal(newest, np.log1p(5.0 + np.arange(3000)).astype(np.float32))
    np.testing.assert_array_equal(rows.features[:, kernel.FEATURES.index("now_running")], [1, 0] * 1500)
    restored = State.restore(**state.snapshot())
    np.testing.assert_array_equal(restored.read(requests).features, rows.features)


def lived(random_log: RandomLog) -> tuple[State, Requests]:
    """A state with running jobs, of which one user has more ended ones than are kept, and requests to ask it of."""
    requests, log = random_log(500, 5)
    state = State()
    state.replay(log, requests)
    told = asked_of(requests)
    for i in range(2 * neighbours.RUNNING_KEPT):
        state.observe_start(told, i, 290 + i)
    later = Requests(requests.texts, requests.numbers, requests.submit_time + 1000)
    snapshot = state.snapshot()
    assert snapshot["total"].max() > neighbours.KEPT
    assert (snapshot["runs"] > 0).any()
    return state, later


def test_a_restored_state_reads_and_learns_like_the_one_that_was_kept(random_log: RandomLog) -> None:
    state, later = lived(random_log)
    restored = State.restore(**state.snapshot())
    told = asked_of(later)
    for i in range(100):
        np.testing.assert_array_equal(restored.read(later).features, state.read(later).features)
        for one in (state, restored):
            one.observe_start(told, i, 2000)
            one.observe_end(told, i, Ended(end=2050, run=50.0, failed=True, start_seen=290 + i))
    for name, array in state.snapshot().items():
        np.testing.assert_array_equal(restored.snapshot()[name], array)


def test_a_snapshot_is_a_copy(random_log: RandomLog) -> None:
    state, later = lived(random_log)
    snapshot = state.snapshot()
    before = {name: array.copy() for name, array in snapshot.items()}
    restored = State.restore(**snapshot)
    for one in (state, restored):
        one.observe_end(asked_of(later), 0, Ended(end=2000, run=1.0, failed=True))
    for name, array in before.items():
        np.testing.assert_array_equal(snapshot[name], array)


def damaged(snapshot: dict[str, np.ndarray], name: str, how: str) -> dict[str, np.ndarray]:
    array = snapshot[name].copy()
    if how == "short":
        array = array[:-1]
    elif how == "twice":
        array[1] = array[0]
    elif how == "floats":
        array = array.astype(float)
    elif how == "deep":
        array = array[:, None]
    else:
        array[0] = int(how)
    return {**snapshot, name: array}


@pytest.mark.parametrize(
    ("name", "how"),
    [
        *((name, "short") for name in ("keys", "statistics", "people", "ended", "total", "running", "runs")),
        *(("keys", "twice"), ("people", "twice")),
        *(("total", "-1"), ("runs", "-1"), ("runs", str(neighbours.RUNNING_KEPT + 1))),
        *(("keys", "deep"), ("people", "deep")),
        *((name, "floats") for name in ("keys", "people", "total", "runs")),
    ],
)
def test_a_snapshot_that_does_not_fit_is_refused(random_log: RandomLog, name: str, how: str) -> None:
    state, _ = lived(random_log)
    with pytest.raises(ValueError, match="does not fit"):
        State.restore(**damaged(state.snapshot(), name, how))


def test_tiers_name_the_finest_key_with_ended_jobs() -> None:
    state = State()
    end(state, 5.0)
    told = [
        {"user": "bob", "submit_time": 9},
        {"user": "ada", "submit_time": 9},
        {"user": "ada", "wallclock_req": 60.0, "processors_req": 1.0, "submit_time": 9},
        {"user": "ada", "name": "a", "submit_time": 9},
        {**JOB, "submit_time": 9},
    ]
    rows = state.read(Requests.from_rows(told))
    assert list(rows.tier) == list(range(len(TIER_KEYS) + 1))
    assert list(rows.jobs) == [0, 1, 1, 1, 1]


def test_without_a_user_the_neighbours_are_those_of_the_account_the_partition_or_the_site() -> None:
    state, median = State(), "near_q50_log"
    end(state, 10.0, account="physics", partition="long")
    end(state, 20.0, user=None, account="physics", partition="long")
    end(state, 30.0, user=None, partition="long")
    end(state, 40.0, user=None)
    # someone's jobs are their own: they tell nothing of jobs whose user nobody knows
    assert read(state, median, account="physics", partition="long") == np.float32(log1p(10.0))
    assert read(state, median, user=None, account="physics", partition="long") == np.float32(log1p(20.0))
    assert read(state, median, user=None, partition="long") == np.float32(log1p(30.0))
    assert read(state, median, user=None) == np.float32(log1p(40.0))
    assert np.isnan(read(state, median, user="bob", account="physics"))


def test_of_more_running_jobs_than_are_kept_the_first_ones_stay() -> None:
    state = State()
    for i in range(2 * neighbours.RUNNING_KEPT):
        told = asked_of(asked(wallclock_req=60.0 + i))
        state.observe_start(told, 0, i)
    assert read(state, "now_running") == neighbours.RUNNING_KEPT
    assert read(state, "now_log_longest_elapsed") == np.float32(log1p(100))
    assert read(state, "now_log_shortest_elapsed") == np.float32(log1p(100 - neighbours.RUNNING_KEPT + 1))
    # the end of a job that was not kept removes none
    unkept = neighbours.RUNNING_KEPT
    state.observe_end(asked_of(asked(wallclock_req=60.0 + unkept)), 0, Ended(99, 9.0, False, start_seen=unkept))
    assert read(state, "now_running") == neighbours.RUNNING_KEPT
    state.observe_end(asked_of(asked(wallclock_req=60.0)), 0, Ended(99, 99.0, False, start_seen=0))
    assert read(state, "now_running") == neighbours.RUNNING_KEPT - 1
    assert read(state, "now_log_longest_elapsed") == np.float32(log1p(99))


def test_a_running_job_is_alike_if_it_asked_for_the_same_known_or_not() -> None:
    state = State()
    for wallclock, processors, start in ((60.0, 1.0, 70), (60.0, None, 60), (None, None, 50), (60.0, 2.0, 40)):
        state.observe_start(asked_of(asked(wallclock_req=wallclock, processors_req=processors)), 0, start)
    assert read(state, "now_alike_running") == 1.0
    assert read(state, "now_alike_longest_elapsed_ratio") == 0.5
    assert read(state, "now_alike_log_longest_elapsed", processors_req=None) == np.float32(log1p(40))
    assert read(state, "now_alike_running", wallclock_req=None, processors_req=None) == 1.0
    assert np.isnan(read(state, "now_alike_longest_elapsed_ratio", wallclock_req=None, processors_req=None))
    assert read(state, "now_alike_running", wallclock_req=3600.0) == 0.0
    assert read(state, "now_running", wallclock_req=3600.0) == 4.0


def test_an_end_whose_start_nobody_saw_leaves_the_running_jobs_alone() -> None:
    state = State()
    state.observe_start(asked_of(asked()), 0, 0)
    end(state, 10.0)
    assert read(state, "now_running") == 1.0


def test_a_job_of_the_same_name_and_request_weighs_more_than_a_newer_one() -> None:
    state = State()
    end(state, 10.0)
    end(state, 500.0, name="other", wallclock_req=3600.0)
    assert read(state, "near_q50_log") == np.float32(log1p(10.0))
    assert read(state, "near_q50_log", name="a_7") == np.float32(log1p(10.0))
    assert read(state, "near_q50_log", name="other", wallclock_req=3000.0) == np.float32(log1p(500.0))


def test_rows_and_arrow_give_the_same_keys() -> None:
    names = ["run_42", "run_٣٤", "x²", "", None]
    rows = [{"user": "ada", "name": name, "submit_time": 5} for name in names]
    table = pa.table(
        {"user": ["ada"] * 5, "name": names, "submit_time": pa.array([5] * 5, pa.timestamp("s", tz="UTC"))}
    )
    np.testing.assert_array_equal(keys_of(Requests.from_arrow(table)), keys_of(Requests.from_rows(rows)))


def test_a_request_of_no_time_is_none_when_its_job_ends() -> None:
    state = State()
    end(state, 50.0, wallclock_req=0.0)
    assert np.isnan(read(state, "user_mean_ratio"))
    assert read(state, "user_mean_log") == pytest.approx(log1p(50.0))
