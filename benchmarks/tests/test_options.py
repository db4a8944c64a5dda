"""Options: which rows a variant is fitted on, what is tried, and that its own settings are the measure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fitters import STOPPED, held_back, member, xgboost_plain_matrix
from options import Bench, measure
from rt_predictor_core.sources.synthetic import write_parquet
from rt_predictor_training.members.member import Fold, Task
from rt_predictor_training.profiles import SHIPPED, Profile, load_profile
from variants import drawn, variants

POOL = np.arange(100, 1100)


@pytest.fixture
def task() -> Task:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(400, 5)).astype(np.float32)
    train = Fold(x, x[:, 0].astype(float) + rng.exponential(size=400))
    return Task(train, (0.05, 0.5, 0.95), 12, {}, 1, 7, lambda: None)


@pytest.fixture
def profile() -> Profile:
    return replace(load_profile("quick"), trees=3, threads=1)


def test_without_chance_the_newest_rows_are_taken() -> None:
    assert drawn(POOL, 10, None).tolist() == list(range(1090, 1100))


def test_random_rows_are_different_ones_in_order_and_mostly_recent() -> None:
    rows = drawn(POOL, 400, np.random.default_rng(1))
    assert len(rows) == 400
    assert (np.diff(rows) > 0).all()
    assert set(rows) <= set(POOL)
    assert (rows >= 600).mean() > 0.55
    assert (rows < 600).any()


def test_early_stopping_looks_at_the_newest_rows(task: Task) -> None:
    older, newest = held_back(task)
    assert (len(older.train), len(newest)) == (360, 40)
    np.testing.assert_array_equal(newest.x, task.train.x[360:])


@pytest.mark.parametrize("name", STOPPED)
def test_early_stopping_says_how_many_rounds_it_took(task: Task, name: str) -> None:
    answer = STOPPED[name](task)
    assert answer.remark.endswith(" rounds")
    assert np.asarray(answer.predict(task.train.x)).shape == (400, 3)


def test_another_matrix_makes_the_same_trees(task: Task) -> None:
    own, plain = (fit(task).predict(task.train.x) for fit in (member("xgboost"), xgboost_plain_matrix))
    np.testing.assert_allclose(own, plain, rtol=1e-5)


@pytest.mark.parametrize("name", SHIPPED)
def test_what_the_profile_does_already_is_not_tried(name: str) -> None:
    profile = load_profile(name)
    for library, own in profile.members.items():
        tried = [variant for variant in variants(library, profile, older=False) if variant.parameters]
        assert all(any(own.get(key) != value for key, value in variant.parameters.items()) for variant in tried)
        assert len({variant.name for variant in tried}) == len(tried)


def test_half_the_rounds_go_with_twice_the_rate(profile: Profile) -> None:
    own = profile.members["xgboost"]
    (halved,) = [
        variant for variant in variants("xgboost", profile, older=False) if variant.name.startswith("half the")
    ]
    assert (halved.rounds, halved.settings("xgboost", own)["eta"]) == (0.5, 2.0 * own["eta"])


def test_the_profiles_own_settings_are_the_measure(tmp_path: Path, profile: Profile) -> None:
    write_parquet(tmp_path / "log.parquet", 1500, 3)
    bench = Bench.of(tmp_path / "log.parquet", profile)
    mean, own, *rest = measure(bench, ["lightgbm"], only="max_bin")
    assert (own["time"], own["pinball"], own["MAE of mean"]) == (1.0, 1.0, 1.0)
    assert mean["MAE h"] > 0.0
    assert [row["variant"] for row in rest] == ["max_bin 127", "max_bin 255"]
    assert all(0.5 < row["pinball"] < 2.0 for row in rest)
