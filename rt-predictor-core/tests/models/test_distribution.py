from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rt_predictor_core.models.distribution import LEANS, Distribution

LEVELS = np.array([0.05, 0.25, 0.5, 0.75, 0.9, 0.95])
ASKED = np.array([0.01, 0.05, 0.2, 0.5, 0.77, 0.95, 0.97, 0.999])
DAY = 86_400.0

TIMES = st.lists(st.floats(1.0, 30 * DAY), min_size=6, max_size=6).map(sorted)
LIMITS = st.sampled_from([60.0, 3600.0, DAY, np.inf])
ELAPSED = st.floats(0.0, 366 * DAY)


def one(times: list[float], limit: float = np.inf, elapsed: float = 0.0) -> Distribution:
    return Distribution(LEVELS, np.array([times]), np.array([limit]), np.array([elapsed]))


def at(times: list[float], limit: float, elapsed: float) -> np.ndarray:
    return one(times, limit, elapsed).quantile(ASKED)[0]


@given(TIMES)
def test_the_quantiles_that_were_given_come_back_exactly(times: list[float]) -> None:
    assert one(times).quantile(LEVELS)[0].tolist() == times
    assert [one(times).quantile(float(level))[0] for level in LEVELS] == times


@given(st.lists(st.floats(0.001, DAY), min_size=6, max_size=6), LIMITS, st.floats(0.0, 10 * DAY))
def test_cdf_and_quantile_undo_each_other_on_the_support(steps: list[float], limit: float, elapsed: float) -> None:
    job = one((1.0 + np.cumsum(steps)).tolist(), limit, elapsed)
    for level in ASKED.tolist():
        time = job.quantile(level)
        if time[0] < limit and elapsed < limit:
            # a step of the distribution function is as fine as two times that a float can tell apart
            np.testing.assert_allclose(job.cdf(time), level, rtol=1e-6, atol=1e-6)
        else:
            assert job.cdf(time)[0] == 1.0


@given(TIMES, LIMITS, st.lists(ELAPSED, min_size=2, max_size=2).map(sorted))
def test_the_total_time_never_falls_with_the_time_that_has_passed(
    times: list[float], limit: float, elapsed: list[float]
) -> None:
    earlier, later = (at(times, limit, one_of) for one_of in elapsed)
    assert (later >= earlier * (1.0 - 1e-9)).all()


@given(TIMES, LIMITS, ELAPSED)
def test_a_running_job_ends_later_than_now_and_by_its_limit(times: list[float], limit: float, elapsed: float) -> None:
    told = at(times, limit, elapsed)
    assert np.isfinite(told).all()
    assert (np.diff(told) >= -1e-9 * told[1:]).all()
    if elapsed < limit:
        assert (told > elapsed).all()
        assert (told <= limit).all()
    else:
        assert (told == elapsed).all()


@given(TIMES, LIMITS)
def test_before_it_starts_nothing_is_known_of_a_job(times: list[float], limit: float) -> None:
    job = one(times, limit)
    assert job.given(np.zeros(1)).quantile(LEVELS).tolist() == np.minimum([times], limit).tolist()


@given(TIMES, LIMITS, ELAPSED, st.lists(st.floats(0.0, 800 * DAY), min_size=2, max_size=2).map(sorted))
def test_chances_are_chances_and_fall_with_time(
    times: list[float], limit: float, elapsed: float, moments: list[float]
) -> None:
    job = one(times, limit, elapsed)
    sooner, later = (job.exceedance(np.array([moment]))[0] for moment in moments)
    assert 0.0 <= later <= sooner <= 1.0
    assert 0.0 <= job.cdf(np.array([moments[0]]))[0] <= job.cdf(np.array([moments[1]]))[0] <= 1.0
    assert 0.0 <= job.outlasted[0] < 1.0


@given(TIMES, st.floats(0.0, 20 * DAY), st.floats(0.0, 20 * DAY))
def test_a_condition_is_a_ratio_of_chances(times: list[float], elapsed: float, further: float) -> None:
    asked = np.array([elapsed + further])
    if asked[0] <= elapsed or asked[0] in times or elapsed in times:
        return  # beside point masses
    whole = one(times)
    expected = whole.exceedance(asked) / whole.exceedance(np.array([elapsed]))
    np.testing.assert_allclose(one(times, elapsed=elapsed).exceedance(asked), expected, rtol=1e-9)


def test_what_lies_past_the_limit_is_a_point_mass_there() -> None:
    job = one([600.0, 1200.0, 1800.0, 3000.0, 4200.0, 5000.0], limit=3600.0)
    assert abs(job.exceedance(np.array([3600.0]))[0] - 0.175) < 1e-12
    assert job.quantile(0.82)[0] < 3600.0
    assert job.quantile(0.83)[0] == 3600.0
    assert job.cdf(np.array([3599.999]))[0] < 0.826
    assert job.cdf(np.array([3600.0]))[0] == 1.0


def test_quantiles_that_are_cut_already_keep_their_mass_at_the_limit() -> None:
    cut = one([600.0, 1200.0, 1800.0, 3600.0, 3600.0, 3600.0], limit=3600.0)
    assert cut.exceedance(np.array([3600.0]))[0] == 0.25
    assert cut.quantile(0.75)[0] == 3600.0


def test_a_job_that_outlives_its_like_is_expected_to_go_on_in_proportion() -> None:
    times = [600.0, 1200.0, 1800.0, 3000.0, 4200.0, 5000.0]
    passed = [one(times, elapsed=5000.0 + past).quantile(0.5)[0] - 5000.0 - past for past in (0.0, 800.0, 1e6)]
    np.testing.assert_allclose(passed, [800.0, 1600.0, 1e6 + 800.0])
    assert one(times, elapsed=1e7).outlasted[0] > 0.9999


def test_forecasts_that_agree_leave_some_doubt() -> None:
    sure = one([1000.0] * 6)
    assert sure.quantile(np.array([0.05, 0.2, 0.5, 0.95]))[0].tolist() == [1000.0] * 4
    assert sure.exceedance(np.array([1000.1]))[0] < 0.05
    assert 0.0 < sure.exceedance(np.array([2000.0]))[0] < 0.01
    np.testing.assert_allclose(sure.given(np.array([1000.0])).quantile(0.5), 1030.0)


def test_at_its_limit_a_job_is_said_to_be_there() -> None:
    times = [600.0, 1200.0, 1800.0, 3000.0, 4200.0, 5000.0]
    told = [one(times, 3600.0, elapsed).at_limit[0] for elapsed in (0.0, 3599.0, 3600.0, 9999.0)]
    assert told == [False, False, True, True]
    late = one(times, 3600.0, 9999.0)
    assert (late.quantile(0.5)[0], late.cdf(np.array([9999.0]))[0]) == (9999.0, 1.0)
    assert late.exceedance(np.array([3600.0]))[0] == 1.0


def test_a_request_that_nobody_knows_gives_no_chance() -> None:
    assert np.isnan(one([600.0] * 6).exceedance(np.array([np.nan]))[0])


@given(st.lists(TIMES, min_size=1, max_size=5), LIMITS, ELAPSED)
def test_many_jobs_are_told_what_each_is_told_alone(rows: list[list[float]], limit: float, elapsed: float) -> None:
    n = len(rows)
    many = Distribution(LEVELS, np.array(rows), np.full(n, limit), np.full(n, elapsed))
    alone = [one(row, limit, elapsed) for row in rows]
    np.testing.assert_array_equal(many.quantile(ASKED), [job.quantile(ASKED)[0] for job in alone])
    np.testing.assert_array_equal(many.mode(), [job.mode()[0] for job in alone])
    moment = np.full(n, 5000.0)
    np.testing.assert_array_equal(many.exceedance(moment), [job.exceedance(moment[:1])[0] for job in alone])


@given(TIMES, LIMITS, ELAPSED)
def test_the_most_likely_time_is_the_one_that_ratios_like_best(
    times: list[float], limit: float, elapsed: float
) -> None:
    job = one(times, limit, elapsed)
    atoms = job.quantile((np.arange(20) + 0.5) / 20)[0]

    def ratio(time: float) -> float:
        return float(np.mean(np.minimum(atoms, time) / np.maximum(atoms, time)))

    told = ratio(job.mode()[0])
    assert told >= max(map(ratio, [*atoms, float(np.median(atoms)), float(np.mean(atoms))])) - 1e-9


def test_the_most_likely_time_lies_where_most_jobs_do() -> None:
    short_or_long = one([55.0, 58.0, 60.0, 62.0, 30_000.0, 40_000.0])
    assert 55.0 <= short_or_long.mode()[0] <= 62.0
    mostly_long = one([60.0, 38_000.0, 39_000.0, 40_000.0, 41_000.0, 42_000.0])
    assert 38_000.0 <= mostly_long.mode()[0] <= 42_000.0


@given(st.lists(st.floats(0.001, DAY), min_size=6, max_size=6), st.sampled_from(LEANS.tolist()), st.floats(0.01, 0.99))
def test_an_interval_reaches_a_time_once_its_coverage_is_large_enough(
    steps: list[float], lean: float, coverage: float
) -> None:
    job = one((1.0 + np.cumsum(steps)).tolist())
    low, high = job.interval(np.array([coverage]), np.array([lean]))[0]
    assert low < high
    assert abs(job.cdf(np.array([high]))[0] - job.cdf(np.array([low]))[0] - coverage) < 1e-6
    for share in (-0.1, 0.3, 0.9, 1.1):
        time = np.array([max(low + share * (high - low), 0.5 * low)])
        enough = job.coverage(time, np.array([lean]))[0]
        assert (enough <= coverage) == (low <= time[0] <= high)


@given(TIMES, LIMITS)
def test_the_lean_is_that_of_the_shortest_interval(times: list[float], limit: float) -> None:
    job = one(times, limit)
    ends = [job.interval(np.array([0.9]), np.array([lean]))[0] for lean in LEANS]
    widths = [high - low for low, high in ends]
    chosen = widths[LEANS.tolist().index(job.lean(0.9)[0])]
    assert chosen <= min(widths) * (1.0 + 1e-9) + 1e-6
