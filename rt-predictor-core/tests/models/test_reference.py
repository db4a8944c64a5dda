"""What served jobs are compared with: kept exactly, checked when it is read, and blind to chance."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from rt_predictor_core.features.table import NAMES, used_columns
from rt_predictor_core.models.drift import FEWEST_ROWS, UNFOLLOWED, followed, population_stability
from rt_predictor_core.models.reference import BINS, Reference, counts
from rt_predictor_core.requests import NUMBERS, Requests

WALLCLOCK, GPUS, MEMORY = (NAMES.index(f"log_{name}_req") for name in ("wallclock", "gpus", "mem"))


def table(rows: int, seed: int = 0) -> np.ndarray:
    """Features that are normal, one that is 0 for most jobs, one that nobody knows."""
    random = np.random.default_rng(seed)
    made = random.normal(size=(rows, len(NAMES))).astype(np.float32)
    made[:, GPUS] = np.where(random.random(rows) < 0.7, 0.0, random.integers(1, 4, rows))
    made[:, MEMORY] = np.nan
    made[random.random(rows) < 0.2, WALLCLOCK] = np.nan
    return made


def requests(rows: int) -> Requests:
    numbers = np.full((rows, len(NUMBERS)), np.nan)
    numbers[:, 0] = np.arange(rows) + 60.0
    submit = 1_700_000_000 + 3600 * 24 * 7 * np.arange(rows)
    return Requests(np.zeros((rows, 7), np.uint64), numbers, submit)


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference.of(requests(20_000), table(20_000))


def test_the_typical_job_is_in_the_middle(reference: Reference) -> None:
    assert reference.numbers[0] == pytest.approx(60.0 + 19_999 / 2)
    assert np.isnan(reference.numbers[1:]).all()
    moment = int(reference.submit_time[0])
    assert moment // 3600 % 24 == 1_700_000_000 // 3600 % 24
    assert moment // 86_400 % 7 == 1_700_000_000 // 86_400 % 7


def test_shares_are_even_and_a_common_value_has_a_bin_of_its_own(reference: Reference) -> None:
    np.testing.assert_allclose(reference.shares.sum(axis=1), 1.0)
    np.testing.assert_allclose(reference.shares[NAMES.index("site_mean_log"), :BINS], 0.1, atol=0.01)
    assert reference.shares[WALLCLOCK, BINS] == pytest.approx(0.2, abs=0.02)
    assert reference.shares[GPUS].max() == pytest.approx(0.7, abs=0.02)
    assert reference.shares[MEMORY].tolist() == [0.0] * BINS + [1.0]
    below = np.full((10, len(NAMES)), -1.0, np.float32)
    at = np.zeros((10, len(NAMES)), np.float32)
    assert counts(below, reference.edges)[GPUS].argmax() != counts(at, reference.edges)[GPUS].argmax()


def test_the_same_population_does_not_drift_and_another_does(reference: Reference) -> None:
    same = population_stability(reference.shares, counts(table(2_000, seed=1), reference.edges))
    assert same.max() < 0.05
    moved = table(2_000, seed=2)
    moved[:, NAMES.index("user_mean_log")] += 1.0
    moved[:, WALLCLOCK] = np.nan
    drifted = population_stability(reference.shares, counts(moved, reference.edges))
    assert drifted[NAMES.index("user_mean_log")] > 0.25
    assert drifted[WALLCLOCK] > 0.25
    assert drifted[NAMES.index("site_mean_log")] < 0.05


def test_of_few_rows_nothing_is_told(reference: Reference) -> None:
    few = counts(table(FEWEST_ROWS - 1), reference.edges)
    assert np.isnan(population_stability(reference.shares, few)).all()
    assert not np.isnan(population_stability(reference.shares, counts(table(FEWEST_ROWS), reference.edges))).any()


def test_counts_of_parts_add_up_to_those_of_the_whole(reference: Reference) -> None:
    whole = table(1_000, seed=3)
    parts = sum(counts(part, reference.edges) for part in np.array_split(whole, 7))
    np.testing.assert_array_equal(parts, counts(whole, reference.edges))


def test_features_that_the_model_does_not_use_are_not_followed() -> None:
    names = {NAMES[column] for column in followed(used_columns(queued=False))}
    assert not names & UNFOLLOWED
    assert not any(name.startswith("queued_") for name in names)
    assert any(NAMES[column].startswith("queued_") for column in followed(used_columns(queued=True)))
    assert set(NAMES) > UNFOLLOWED


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("numbers", lambda array: array[:2]),
        ("numbers", lambda array: array - 1e9),
        ("submit_time", lambda array: array - 10**12),
        ("history", lambda array: np.full_like(array, np.inf)),
        ("edges", lambda array: np.ascontiguousarray(array[:, ::-1])),
        ("edges", lambda array: array[:, :3]),
        ("shares", lambda array: array + 1.0),
        ("shares", lambda array: array.astype(np.float32)),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    reference: Reference, name: str, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    arrays = reference.arrays()
    again = Reference.from_arrays(arrays)
    np.testing.assert_array_equal(again.shares, reference.shares)
    with pytest.raises(ValueError, match=r"fit|infinite"):
        Reference.from_arrays({**arrays, name: change(arrays[name])})
