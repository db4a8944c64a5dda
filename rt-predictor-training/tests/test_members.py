"""Each library for real on a small table with missing values: it learns, and the flat arrays are the model."""

from dataclasses import replace

import numpy as np
import pytest

from rt_predictor_core.artifact.probes import difference
from rt_predictor_core.scores import pinball
from rt_predictor_formats.errors import Problem
from rt_predictor_training.members import ANSWERS, MEMBERS
from rt_predictor_training.members.member import Fold, Task, floor_float32, next_below, verify
from rt_predictor_training.profiles import load_profile

LEVELS = (0.05, 0.5, 0.95)


def fold(rows: int, seed: int) -> Fold:
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 6)).astype(np.float32)
    y = 0.3 * np.nan_to_num(x[:, 0]) + (x[:, 1] > 0) + 0.1 * random.normal(size=rows)
    x[random.random(x.shape) < 0.15] = np.nan
    x[:, 5] = np.nan
    return Fold(x, y)


@pytest.mark.parametrize("name", MEMBERS)
def test_a_member_learns_and_its_flat_arrays_answer_as_the_library_does(name: str) -> None:
    rounds = []
    task = Task(
        train=fold(3000, 1),
        levels=LEVELS,
        trees=30,
        parameters=load_profile("quick").members[name],
        threads=1,
        seed=7,
        on_tree=lambda: rounds.append(1),
    )
    fitted = MEMBERS[name](task)  # verifies itself against the library
    new = fold(500, 3)
    forecast = fitted.forest.evaluate(new.x)
    levels = np.array(LEVELS)
    constant = np.tile(np.quantile(task.train.y, levels), (500, 1))
    assert pinball(forecast, new.y, levels) < 0.8 * pinball(constant, new.y, levels)
    assert rounds
    assert fitted.native
    again = MEMBERS[name](task)
    np.testing.assert_array_equal(again.forest.evaluate(new.x), forecast)


def edges(rows: int) -> np.ndarray:
    """Rows that hold what training held, what it never held, and nothing."""
    x = fold(rows, 11).x
    random = np.random.default_rng(12)
    values = np.array([np.nan, 0.0, -0.0, 1e-38, 1e-45, -1e30, 1e30, 3e38, 1.0, -1.0], np.float32)
    some = random.random(x.shape) < 0.2
    x[some] = random.choice(values, int(some.sum()))
    x[: len(values)] = values[:, None]
    return x


@pytest.mark.parametrize("gaps", [True, False])
@pytest.mark.parametrize("name", MEMBERS)
def test_flat_arrays_are_the_library_for_values_that_training_never_saw(name: str, *, gaps: bool) -> None:
    """Also of features that were never missing in training, of which each library has a way of its own."""
    train = fold(3000, 1) if gaps else replace(fold(3000, 1), x=np.nan_to_num(fold(3000, 1).x))
    task = Task(train, LEVELS, 40, load_profile("standard").members[name], 1, 7, lambda: None)
    fitted = MEMBERS[name](task)
    rows, random = edges(10_000), np.random.default_rng(5)
    # on thresholds themselves and on either side of them, where float32 and float64 may part
    nodes = random.integers(0, len(fitted.forest.feature), 5000)
    near = np.clip(fitted.forest.threshold[nodes], -3e38, 3e38)
    sides = np.stack([near, np.nextafter(near, np.float32(-np.inf)), np.nextafter(near, np.float32(np.inf))])
    rows[np.arange(5000, 10_000), fitted.forest.feature[nodes]] = random.permuted(sides, axis=0)[0]
    assert difference(fitted.forest.evaluate(rows), ANSWERS[name](fitted.native, rows)) <= 1e-5


def test_flat_arrays_that_differ_are_refused() -> None:
    task = Task(fold(500, 1), LEVELS, 5, {}, 1, 7, lambda: None)
    fitted = MEMBERS["lightgbm"](task)
    native = fitted.forest.evaluate(task.train.x)
    native[7, 1] += 0.1
    with pytest.raises(Problem, match="FLATTENING_DIFFERS"):
        verify("lightgbm", fitted.forest, native, task.train.x)


def test_what_xgboost_loses_by_rounding_is_no_other_tree() -> None:
    """Its sums are float32: many trees on targets of little spread differ by more than the tolerance."""
    narrow = replace(fold(300, 5), y=1.0 + 0.01 * fold(300, 5).y)
    task = Task(narrow, LEVELS, 300, {"max_depth": 7, "eta": 0.08}, 1, 1, lambda: None)
    fitted = MEMBERS["xgboost"](task)
    native = fitted.forest.evaluate(narrow.x)
    native[7, 1] += 0.003
    with pytest.raises(Problem, match="FLATTENING_DIFFERS"):
        verify("xgboost", fitted.forest, native, narrow.x, rounded=task.trees)


def test_thresholds_keep_their_meaning_in_float32() -> None:
    random = np.random.default_rng(4)
    thresholds = random.normal(size=1000)
    values = np.concatenate([thresholds.astype(np.float32), np.nextafter(thresholds.astype(np.float32), np.float32(9))])
    both = np.tile(thresholds, 2)
    np.testing.assert_array_equal(values <= np.tile(floor_float32(thresholds), 2), values.astype(float) <= both)
    np.testing.assert_array_equal(values <= np.tile(next_below(thresholds), 2), values < both.astype(np.float32))
