"""The members, one by one and together."""

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_predictor_core.artifact.publish import arrays_to_bytes
from rt_predictor_core.features import neighbours
from rt_predictor_core.features.table import NAMES
from rt_predictor_core.models.blend import blend, monotone
from rt_predictor_core.models.neighbours import WIDTHS, Neighbours
from rt_predictor_core.models.shapes import SHAPES
from rt_predictor_core.models.target import Target

LEVELS = np.array([0.02, 0.05, 0.3, 0.5, 0.75, 0.9, 0.99])
TARGET = Target(power=0.5, usual_wallclock=3600.0, grace=60.0)
REQUEST = NAMES.index("log_wallclock_req")
SEEDS = st.integers(0, 2**32 - 1)


@given(SEEDS)
def test_a_blend_is_the_median_of_those_that_are_heard_at_each_level(seed: int) -> None:
    random = np.random.default_rng(seed)
    members = random.normal(size=(5, 6, 4))
    members[random.random(members.shape) < 0.2] = np.nan
    members[0] = 7.0
    heard = random.random((5, 4)) < 0.6
    heard[0] = True
    mixed = blend(list(members), heard)
    for level in range(4):
        np.testing.assert_array_equal(mixed[:, level], np.nanmedian(members[heard[:, level], :, level], axis=0))


def test_a_member_alone_at_a_level_says_what_is_said_there() -> None:
    members = [np.array([[1.0, 2.0]]), np.array([[10.0, 20.0]])]
    assert blend(members, np.array([[True, False], [False, True]])).tolist() == [[1.0, 20.0]]


def test_where_no_member_that_is_heard_knows_anything_all_are_heard() -> None:
    members = [np.array([[1.0]]), np.array([[3.0]]), np.array([[np.nan]])]
    assert blend(members, np.array([[False], [False], [True]])).tolist() == [[2.0]]
    assert np.isnan(blend([np.array([[np.nan]])], np.array([[True]]))).all()


@given(SEEDS)
def test_sorting_undoes_crossings_and_changes_nothing_else(seed: int) -> None:
    random = np.random.default_rng(seed)
    unknown = random.normal(size=(5, 4))
    unknown[random.random(unknown.shape) < 0.3] = np.nan
    np.testing.assert_array_equal(monotone(unknown), np.sort(unknown))
    quantiles = random.normal(size=(5, 4))
    told = monotone(quantiles)
    assert (np.diff(told) >= 0).all()
    np.testing.assert_array_equal(np.sort(told), np.sort(quantiles))
    np.testing.assert_array_equal(monotone(told), told)


def table(runs: list[list[float]], request: float, width: str = "near") -> np.ndarray:
    """A feature table of which only the quantiles of one kernel and the request are known."""
    rows = np.full((len(runs), len(NAMES)), np.nan, np.float32)
    columns = [NAMES.index(f"{width}_q{100 * level:02.0f}_log") for level in neighbours.LEVELS]
    rows[:, columns] = np.log1p(runs)
    rows[:, REQUEST] = np.log1p(request)
    return rows


RUNS = st.lists(st.floats(1.0, 1e6), min_size=len(neighbours.LEVELS), max_size=len(neighbours.LEVELS)).map(sorted)


@given(st.lists(RUNS, min_size=1, max_size=4), st.sampled_from(sorted(WIDTHS.values())))
def test_neighbours_say_the_quantiles_of_what_they_took(runs: list[list[float]], width: str) -> None:
    member = Neighbours.of(LEVELS, TARGET, width)
    y = member.evaluate(table(runs, 1e6, width))
    request = np.full(len(runs), 1e6)
    expected = np.array([np.interp(LEVELS, neighbours.LEVELS, row) for row in runs])
    np.testing.assert_allclose(TARGET.backward(y, request), np.minimum(expected, 1e6 + 60.0), rtol=1e-4)


def test_neighbours_are_held_to_the_limit_where_there_is_one() -> None:
    runs = [[100.0] * 6 + [9000.0]]
    unlimited = Target(power=1.0, usual_wallclock=3600.0, grace=np.inf)
    told = Neighbours.of(LEVELS, TARGET, "near").evaluate(table(runs, 600.0))
    np.testing.assert_allclose(TARGET.backward(told, np.array([600.0]))[0, -1], 660.0, rtol=1e-5)
    told = Neighbours.of(LEVELS, unlimited, "near").evaluate(table(runs, 600.0))
    np.testing.assert_allclose(unlimited.backward(told, np.array([600.0]))[0, -1], 9000.0, rtol=1e-5)


def test_neighbours_of_a_job_without_a_request_are_told_in_units_of_the_usual_one() -> None:
    told = Neighbours.of(LEVELS, TARGET, "near").evaluate(table([[400.0] * 7], np.nan))
    np.testing.assert_allclose(TARGET.backward(told, np.array([np.nan])), [[400.0] * len(LEVELS)], rtol=1e-5)


def test_where_nothing_has_ended_neighbours_know_nothing() -> None:
    rows = np.full((2, len(NAMES)), np.nan, np.float32)
    rows[0, REQUEST] = 8.0
    assert np.isnan(Neighbours.of(LEVELS, TARGET, "wide").evaluate(rows)).all()


@pytest.mark.parametrize("grace", [0.0, np.inf])
def test_neighbours_come_back_from_a_file_as_they_were(grace: float) -> None:
    member = Neighbours.of(LEVELS, Target(0.5, 3600.0, grace), "wide")
    with np.load(BytesIO(arrays_to_bytes(member.arrays())), allow_pickle=False) as arrays:
        again = SHAPES["neighbours"].from_arrays(arrays)
    rows = table([[10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 7e5], [1.0] * 7], 3600.0, "wide")
    np.testing.assert_array_equal(again.evaluate(rows), member.evaluate(rows))


def test_an_array_that_a_file_lacks_is_named() -> None:
    arrays = Neighbours.of(LEVELS, TARGET, "near").arrays()
    del arrays["columns"]
    with pytest.raises(KeyError, match="columns"):
        SHAPES["neighbours"].from_arrays(arrays)
