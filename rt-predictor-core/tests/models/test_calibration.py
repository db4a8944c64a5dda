import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rt_predictor_core.models import conformal
from rt_predictor_core.models.blend import blend, monotone
from rt_predictor_core.models.forecast import Forecasts
from rt_predictor_core.models.target import Target
from rt_predictor_core.scores import interval_scores, pinball, point_scores

LEVELS = np.array([0.05, 0.5, 0.95])


def test_calibrated_quantiles_hold_on_new_jobs() -> None:
    random = np.random.default_rng(1)
    y, new = random.normal(size=4000), random.normal(size=4000)
    wrong = np.tile([-0.5, 0.0, 0.5], (4000, 1))
    tier = np.zeros(4000, np.uint8)
    fitted = conformal.fit(wrong, y, tier, LEVELS)
    low, _, high = fitted.apply(wrong, tier).T
    assert abs(((low <= new) & (new <= high)).mean() - 0.9) < 0.02


def test_a_small_tier_leans_on_all_jobs_and_a_large_one_has_its_own_offset() -> None:
    random = np.random.default_rng(2)
    y = random.normal(size=6000)
    tier = np.zeros(6000, np.uint8)
    tier[3000:] = 1
    y[3000:] *= 5
    tier[:2], y[:2] = 4, 1000.0
    quantiles = np.zeros((6000, 3))
    offsets = conformal.fit(quantiles, y, tier, LEVELS).offsets
    assert offsets[1, 2] > 3 * offsets[0, 2]
    assert offsets[4, 2] < 50
    assert (offsets[:, 1] == 0).all()


def test_without_jobs_nothing_is_moved() -> None:
    none = conformal.fit(np.zeros((0, 3)), np.zeros(0), np.zeros(0, np.uint8), LEVELS)
    assert (none.offsets == 0).all()


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50), st.sampled_from([0.05, 0.9, 0.95]))
def test_the_conformal_quantile_is_a_residual_and_errs_towards_covering(residuals: list[float], level: float) -> None:
    values = np.array(residuals)
    chosen = conformal.conformal_quantile(values, level)
    assert chosen in values
    if level > 0.5:
        assert (values <= chosen).mean() >= min(level, 1.0 - 1e-12) or chosen == values.max()


@given(st.integers(0, 2**32 - 1))
def test_a_blend_is_monotone_and_between_its_members(seed: int) -> None:
    members = [np.random.default_rng(seed + i).normal(size=(5, 3)) for i in range(2)]
    mixed = blend(members, (0.3, 0.7))
    assert (mixed <= np.maximum(*members) + 1e-12).all()
    assert (mixed >= np.minimum(*members) - 1e-12).all()
    assert (np.diff(monotone(mixed)) >= 0).all()


@given(st.floats(1.0, 1e6), st.floats(60.0, 1e6), st.sampled_from([0.25, 0.5, 1.0]))
def test_a_target_turns_back_into_its_run_time(run: float, request: float, power: float) -> None:
    target = Target(power=power, usual_wallclock=3600.0, grace=0.0)
    asked = np.array([request])
    np.testing.assert_allclose(
        target.backward(target.forward(np.array([run]), asked)[:, None], asked), [[run]], rtol=1e-9
    )


def forecasts(quantiles: list[float], request: float, limit: float) -> Forecasts:
    row, asked = np.array([quantiles]), np.array([request])
    none = np.zeros(1, np.uint8)
    return Forecasts(LEVELS, row, asked, np.array([limit]), none, none)


def test_the_recommended_wallclock_is_the_quantile_in_whole_minutes_within_the_request() -> None:
    some = forecasts([100.0, 1000.0, 5000.0], 7200.0, 7200.0)
    assert some.wallclock(0.05)[0] == 5040
    assert some.wallclock(0.5)[0] == 1020
    assert some.wallclock(0.01)[0] == 6780
    assert forecasts([100.0, 1000.0, 7200.0], 7200.0, 7200.0).wallclock(0.01)[0] == 7200
    assert forecasts([100.0, 1000.0, 5000.0], np.nan, np.inf).wallclock(0.01)[0] > 5000


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1))
def test_less_risk_never_shortens_the_recommendation(seed: int) -> None:
    quantiles = np.sort(np.random.default_rng(seed).uniform(1, 7200, 3)).tolist()
    some = forecasts(quantiles, 7200.0, 7200.0)
    walls = [some.wallclock(risk)[0] for risk in (0.5, 0.3, 0.1, 0.05, 0.02, 0.01)]
    assert walls == sorted(walls)


def test_the_chance_to_exceed_falls_with_the_request() -> None:
    chances = [
        forecasts([100.0, 1000.0, 5000.0], request, np.inf).exceeds[0] for request in (50, 1000, 4000, 5000, 9000)
    ]
    assert chances == sorted(chances, reverse=True)
    assert chances[1] == 0.5
    assert 0.0 < chances[-1] < 0.05
    assert np.isnan(forecasts([100.0, 1000.0, 5000.0], np.nan, np.inf).exceeds[0])


def test_everything_that_is_said_of_a_running_job_knows_how_long_it_has_run() -> None:
    before = forecasts([100.0, 1000.0, 5000.0], 7200.0, 7200.0)
    running = before.given(np.array([3000.0]))
    assert running.median[0] > 3000.0 > before.median[0]
    assert (running.quantiles > 3000.0).all()
    assert running.most_likely[0] > 3000.0
    assert running.exceeds[0] > before.exceeds[0]
    assert running.wallclock(0.1)[0] >= before.wallclock(0.1)[0]
    np.testing.assert_array_equal(before.given(np.zeros(1)).quantiles, before.quantiles)


def test_a_job_past_its_request_is_not_told_to_have_asked_for_less_than_it_ran() -> None:
    graceful = forecasts([100.0, 1000.0, 5000.0], 7200.0, 7800.0).given(np.array([7500.0]))
    assert graceful.wallclock(0.1)[0] == 7500
    assert (graceful.exceeds[0], graceful.distribution.at_limit[0]) == (1.0, False)


def test_scores_are_what_their_names_say() -> None:
    run, predicted = np.array([3600.0, 7200.0]), np.array([1800.0, 7200.0])
    scores = point_scores(predicted, run)
    assert scores["mae_h"] == 0.25
    assert scores["median_ae_min"] == 15.0
    assert scores["ratio_accuracy"] == 0.75
    assert scores["under_rate"] == 0.5
    assert interval_scores(run - 1, run + 3600, run) == {"coverage_90": 1.0, "width_90_h": 3601 / 3600}
    assert pinball(np.array([[0.0]]), np.array([10.0]), np.array([0.9])) == 9.0
