"""The peer: its common features see the future, the mended ones do not; both are compared on the same jobs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ours import Training
from peer import check_same_fold
from peer_features import ended, shifted, table, unfinished

JOBS = 300


@pytest.fixture
def jobs() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    submit = np.sort(rng.integers(0, 40_000, JOBS))
    run = rng.integers(1, 3_000, JOBS)
    start = submit + rng.integers(0, 500, JOBS)

    def moments(seconds: np.ndarray) -> pd.Series:
        return pd.Series(pd.to_datetime(seconds, unit="s", utc=True)).astype("datetime64[ms, UTC]")

    return pd.DataFrame(
        {
            "user": rng.choice(["ann", "bob", "cy"], JOBS),
            "name": rng.choice(["a", "b"], JOBS),
            **dict.fromkeys(("account", "partition", "qos"), "x"),
            "wallclock_req": rng.choice([600.0, 3600.0], JOBS),
            **dict.fromkeys(("nodes_req", "processors_req", "gpus_req", "mem_req"), 1.0),
            "submit_time": moments(submit),
            "start_time": moments(start),
            "end_time": moments(start + run),
            "run_time": run.astype(float),
        }
    )


@pytest.fixture
def group(jobs: pd.DataFrame) -> pd.Series:
    return jobs.groupby("user").ngroup()


def test_the_mended_past_is_that_of_the_ended_jobs_in_order_of_their_ends(jobs: pd.DataFrame, group: pd.Series) -> None:
    past = ended(jobs, group)
    for row in range(JOBS):
        before = jobs[(group == group[row]) & (jobs["end_time"] <= jobs["submit_time"][row])]
        run = before.sort_values("end_time", kind="stable")["run_time"].to_numpy()
        if not len(run):
            assert past.loc[row].isna().all()
            continue
        expected = [run[-1], run[-2] if len(run) > 1 else np.nan, run.mean(), run[-10:].mean()]
        np.testing.assert_allclose(past.loc[row], expected)


def test_run_times_of_unfinished_jobs_move_no_mended_feature(jobs: pd.DataFrame) -> None:
    """The poison test; the common features fail it, which is what the benchmark says of them."""
    moment = jobs["submit_time"][JOBS // 2]
    poisoned = jobs.assign(run_time=jobs["run_time"].where(jobs["end_time"] <= moment, 1e9))
    asked = jobs.index[jobs["submit_time"] <= moment]
    pd.testing.assert_frame_equal(table(poisoned, ended).loc[asked], table(jobs, ended).loc[asked])
    assert not table(poisoned, shifted).loc[asked].equals(table(jobs, shifted).loc[asked])


def test_the_common_past_is_that_of_the_jobs_submitted_before(jobs: pd.DataFrame, group: pd.Series) -> None:
    past = shifted(jobs, group)
    row = JOBS - 1
    run = jobs["run_time"][:row][group[:row] == group[row]].to_numpy()
    np.testing.assert_allclose(past.loc[row], [run[-1], run[-2], run.mean(), run[-10:].mean()])


def test_a_jobs_own_run_time_is_in_none_of_its_features(jobs: pd.DataFrame) -> None:
    last = JOBS - 1
    other = jobs.assign(run_time=jobs["run_time"].where(jobs.index != last, 1e9))
    for past in (shifted, ended):
        pd.testing.assert_series_equal(table(other, past).loc[last], table(jobs, past).loc[last])


def test_the_share_of_unfinished_jobs_is_counted_per_user(jobs: pd.DataFrame) -> None:
    two = jobs[jobs["user"] == "ann"].head(2).reset_index(drop=True)
    two["end_time"] = two["submit_time"] + pd.Timedelta(days=1)
    assert unfinished(two) == 1.0


def test_different_test_jobs_are_not_compared() -> None:
    fold = {"first_submit": 1, "last_submit": 9, "jobs": 5}
    check_same_fold(Training(1.0, {"fold": fold}), {"fold": fold})
    with pytest.raises(SystemExit, match="test jobs differ"):
        check_same_fold(Training(1.0, {"fold": fold}), {"fold": {**fold, "jobs": 4}})
