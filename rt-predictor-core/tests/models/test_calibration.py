"""What is said holds: at the start, in the long run, and whatever drifts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rt_predictor_core.features.keys import TIERS
from rt_predictor_core.models.conformal import COVERAGE, HIGHEST, LOWEST, STEP, WALLCLOCK_LEVELS, Calibration
from rt_predictor_core.models.distribution import Distribution
from rt_predictor_core.models.forecast import MINUTE, Forecasts, level_of

LEVELS = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
ALL = np.array([*LEVELS, COVERAGE, *WALLCLOCK_LEVELS])
MEDIAN = 2
NORMAL = np.array([-1.645, -0.674, 0.0, 0.674, 1.645])
"""Quantiles of the standard normal distribution at ``LEVELS``."""


def free(plain: np.ndarray) -> Distribution:
    return Distribution(LEVELS, plain, np.full(len(plain), np.inf), np.zeros(len(plain)))


def told(jobs: int, seed: int, median: float, factor: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """Forecasts of jobs, quantiles float64[jobs, levels], and what they took: the forecast is wrong by ``factor``."""
    random = np.random.default_rng(seed)
    own = median * random.uniform(0.5, 2.0, jobs)
    plain = own[:, None] * np.exp(NORMAL)
    return plain, np.ceil(own * factor * np.exp(random.normal(size=jobs)))


def followed(plain: np.ndarray, run: np.ndarray) -> np.ndarray:
    """The levels to read for each job if each ends before the next one is submitted."""
    jobs = np.repeat(np.arange(len(run)), 2)
    ends, out = np.arange(len(jobs)) % 2 == 1, np.empty((len(run), len(ALL)))
    Calibration(LEVELS).track(ends, jobs, np.zeros(len(run), np.uint8), level_of(free(plain), run), out)
    return out


def covered(plain: np.ndarray, run: np.ndarray, read: np.ndarray) -> float:
    low, high = free(plain).quantile(np.ascontiguousarray(read[:, [0, 4]])).T
    return float(((low <= run) & (run <= high)).mean())


@pytest.mark.parametrize("factor", [0.4, 1.0, 2.5])
def test_the_levels_to_begin_with_hold_on_new_jobs(factor: float) -> None:
    plain, run = told(8000, 1, 3600.0, factor)
    calibration = Calibration(LEVELS)
    tier = np.zeros(8000, np.uint8)
    calibration.start(tier[:4000], level_of(free(plain[:4000]), run[:4000]))
    assert abs(covered(plain[4000:], run[4000:], calibration.at(tier[4000:])) - 0.9) < 0.02


def test_a_small_tier_leans_on_all_jobs_and_a_large_one_has_its_own_levels() -> None:
    plain, run = told(6000, 2, 3600.0, np.repeat([1.0, 3.0], 3000))
    tier = np.repeat(np.array([0, 1], np.uint8), 3000)
    tier[:2], run[:2] = 4, 1e9
    calibration = Calibration(LEVELS)
    calibration.start(tier, level_of(free(plain), run))
    first, second, small, none = calibration.read[[0, 1, 4, 2], 3]
    assert first < none < second
    assert none < small < none + 0.02
    assert abs(second - 0.96) < 0.03  # where log 3 lies beside the upper quartile


def test_without_jobs_nothing_is_moved() -> None:
    calibration = Calibration(LEVELS)
    calibration.start(np.zeros(0, np.uint8), np.zeros((0, 3)))
    np.testing.assert_array_equal(calibration.at(np.arange(len(TIERS))), np.tile(ALL, (len(TIERS), 1)))


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 400))
def test_the_median_never_moves_and_no_level_leaves_its_bounds(seed: int, jobs: int) -> None:
    random = np.random.default_rng(seed)
    lay = random.choice([0.0, 1.0, random.uniform()], (jobs, 3))
    tier = random.integers(0, len(TIERS), jobs).astype(np.uint8)
    calibration = Calibration(LEVELS)
    calibration.start(tier, lay)
    for t, level in zip(tier, lay, strict=True):
        calibration.learn(int(t), level)
        assert (calibration.read[:, MEDIAN] == 0.5).all()
        assert ((calibration.read >= LOWEST) & (calibration.read <= HIGHEST)).all()


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_log_that_is_run_through_teaches_what_its_events_teach_one_by_one(seed: int) -> None:
    random = np.random.default_rng(seed)
    jobs, tier = random.integers(0, 50, 300), random.integers(0, len(TIERS), 50).astype(np.uint8)
    ends, lay = random.integers(0, 2, 300).astype(bool), random.uniform(size=(50, 3))
    whole, single = Calibration(LEVELS), Calibration(LEVELS)
    out, expected = np.zeros((50, len(ALL))), np.zeros((50, len(ALL)))
    whole.track(ends, jobs, tier, lay, out)
    for end, job in zip(ends, jobs, strict=True):
        if end:
            single.learn(int(tier[job]), lay[job])
        else:
            expected[job] = single.at(tier[job : job + 1])[0]
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(whole.read, single.read)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 2000))
def test_misses_come_to_their_share_whatever_the_jobs_do(seed: int, jobs: int) -> None:
    random = np.random.default_rng(seed)
    # levels that wander and jump, short of the bounds at which the levels to read are held
    lay = np.clip(random.uniform() + np.cumsum(random.normal(0.0, 0.1, (jobs, 3)), axis=0), 0.02, 0.98)
    lay[random.uniform(size=jobs) < 0.1] = random.choice([0.02, 0.98])
    calibration, missed = Calibration(LEVELS), np.zeros(len(ALL))
    calibration.read[:] = np.clip(calibration.read, 0.02, 0.98)
    for level in lay:
        missed += np.repeat(level, [len(LEVELS), 1, len(WALLCLOCK_LEVELS)]) > calibration.read[0]
        calibration.learn(0, level)
    excess = np.delete(missed / jobs - (1.0 - ALL), MEDIAN)
    # the levels stay within one step of [0.02, 0.98], so what is learnt adds up to less than 1 (Gibbs, Candes 2021)
    assert (np.abs(excess) <= 1.0 / (STEP * jobs)).all()


@pytest.mark.parametrize("factor", [np.full(12_000, 2.5), np.full(12_000, 0.4), np.exp(np.linspace(-1, 1, 12_000))])
def test_coverage_comes_back_where_the_forecasts_went_wrong(factor: np.ndarray) -> None:
    plain, run = told(12_000, 3, 3600.0, factor)
    later = slice(4000, None)
    never = np.tile(ALL, (12_000, 1))
    assert abs(covered(plain[later], run[later], never[later]) - 0.9) > 0.03
    assert abs(covered(plain[later], run[later], followed(plain, run)[later]) - 0.9) < 0.02


@pytest.mark.parametrize("median", [150.0, 7200.0])
@pytest.mark.parametrize("factor", [0.4, 1.0, 2.5])
def test_intervals_and_recommended_wallclocks_hold_as_often_as_they_say(median: float, factor: float) -> None:
    plain, run = told(20_000, 4, median, factor)
    read = followed(plain, run)
    later, none = slice(8000, None), np.full(12_000, np.nan)
    some = Forecasts(
        levels=LEVELS,
        free=plain[later],
        wallclock_req=none,
        limit=np.full(12_000, np.inf),
        tier=np.zeros(12_000, np.uint8),
        jobs=np.zeros(12_000, np.uint32),
        plain=plain[later],
        read=read[later, len(LEVELS) :],
        chance=none,
        usual=none,
    )
    low, high = some.interval.T
    assert abs(((low <= run[later]) & (run[later] <= high)).mean() - COVERAGE) < 0.015
    for risk in (0.5, 0.3, 0.2, 0.1, 0.05, 0.01):
        # levels of neighbouring risks that cross are sorted, which costs the outer ones a little
        assert abs((run[later] > some.wallclock(risk)).mean() - risk) < 0.015
    between = (run[later] > some.wallclock(0.15)).mean()
    assert 0.1 < between < 0.2


def test_levels_that_do_not_fit_are_refused() -> None:
    for shape in ((len(TIERS), len(LEVELS)), (len(TIERS) + 1, len(ALL)), (len(ALL),)):
        with pytest.raises(ValueError, match="does not fit"):
            Calibration(LEVELS, np.full(shape, 0.5))
    for level in (0.0, 1.0, np.nan):
        with pytest.raises(ValueError, match="does not fit"):
            Calibration(LEVELS, np.full((len(TIERS), len(ALL)), level))


def test_the_levels_that_were_given_stay_the_callers() -> None:
    mine = np.tile(ALL, (len(TIERS), 1))
    Calibration(LEVELS, mine).learn(0, np.ones(3))
    np.testing.assert_array_equal(mine, np.tile(ALL, (len(TIERS), 1)))


TIMES = st.lists(st.floats(1.0, 20_000.0), min_size=5, max_size=5).map(sorted)


@given(st.lists(st.floats(1.0, 1e5), min_size=5, max_size=5), st.floats(0.01, 0.99))
def test_the_level_of_a_run_time_undoes_its_quantile(steps: list[float], level: float) -> None:
    plain = np.cumsum([steps], axis=1)
    np.testing.assert_allclose(level_of(free(plain), free(plain).quantile(level))[0, 0], level, rtol=1e-9)


@given(TIMES, st.floats(1.0, 40_000.0))
def test_where_quantiles_coincide_the_lowest_level_counts_that_reaches(times: list[float], run: float) -> None:
    plain = np.array([times])
    level = level_of(free(plain), np.array([run]))[0, 0]
    below, above = np.clip([level - 1e-6, level + 1e-6], 1e-9, 1.0 - 1e-9)
    assert free(plain).quantile(below)[0] <= run * (1.0 + 1e-9)
    assert free(plain).quantile(above)[0] >= run * (1.0 - 1e-9)
    for time in times:
        first = LEVELS[times.index(time)]
        assert level_of(free(plain), np.array([time]))[0, 0] <= first + 1e-12


@given(TIMES, st.integers(1, 40_000), st.floats(0.01, 0.99))
def test_a_limit_in_whole_minutes_is_too_short_where_its_level_is_too_low(
    times: list[float], run: int, read: float
) -> None:
    plain = np.array([times])
    exact, _, whole = level_of(free(plain), np.array([float(run)]))[0]
    assert whole <= exact
    if abs(whole - read) > 1e-9:
        limit = np.ceil(free(plain).quantile(read)[0] / MINUTE) * MINUTE
        assert (run > limit) == (whole > read)
