import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rt_predictor_core.scores import EVENT_BINS, attained, cut_short, event_reliability, mean_ratio, ran_past, rate


def test_the_share_that_attains_a_quantile_is_its_level_where_the_quantile_is_right() -> None:
    run = np.arange(1.0, 101.0)
    quantiles = np.tile([5.0, 50.0, 95.0], (100, 1))
    np.testing.assert_allclose(attained(quantiles, run), [0.05, 0.5, 0.95])
    assert np.isnan(attained(np.zeros((0, 3)), np.zeros(0))).all()


def test_a_job_that_its_limit_killed_ran_past_a_bound_that_it_reached() -> None:
    run = np.array([3600.0, 3600.0, 3601.0, 1800.0])
    at_limit = np.array([False, True, False, True])
    assert ran_past(run, np.full(4, 3600.0), at_limit).tolist() == [False, True, True, False]


def test_a_ratio_is_of_the_jobs_whose_whole_is_known() -> None:
    assert mean_ratio(np.array([1.0, 9.0, 3.0]), np.array([2.0, np.nan, 4.0])) == 0.625
    assert np.isnan(mean_ratio(np.ones(2), np.full(2, np.nan)))
    assert np.isnan(rate(np.zeros(0, bool)))


@given(st.lists(st.tuples(st.one_of(st.floats(0.0, 1.0), st.just(np.nan)), st.booleans()), max_size=60))
def test_every_job_with_a_probability_is_in_one_bin(pairs: list[tuple[float, bool]]) -> None:
    probability = np.array([p for p, _ in pairs], float)
    happened = np.array([h for _, h in pairs], bool)
    rows = event_reliability(probability, happened)
    known = ~np.isnan(probability)
    assert [row["from"] for row in rows] + [1.0] == list(EVENT_BINS)
    assert sum(row["jobs"] for row in rows) == known.sum()
    times = sum(row["measured"] * row["jobs"] for row in rows if row["jobs"])
    np.testing.assert_allclose(times, happened[known].sum())
    for row in rows:
        assert not row["jobs"] or row["from"] - 1e-12 <= row["predicted"] <= row["to"] + 1e-12


def test_a_job_that_its_own_request_killed_is_no_fault_of_a_wallclock_as_long() -> None:
    run = np.array([100.0, 3600.0, 3666.0, 3666.0, 150.0, 200.0])
    bound = np.array([120.0, 3600.0, 3600.0, 1800.0, 120.0, 120.0])
    request = np.array([3600.0, 3600.0, 3600.0, 3600.0, 3600.0, np.nan])
    at_limit = run >= request
    assert cut_short(run, bound, request, at_limit, 60.0).tolist() == [False, False, False, True, False, True]
    assert cut_short(run, bound, request, at_limit, 0.0).tolist() == [False, False, False, True, True, True]
