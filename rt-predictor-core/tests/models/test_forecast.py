"""What is said of a job, from a row of numbers to a recommended wallclock."""

from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rt_predictor_core.features import history as features
from rt_predictor_core.features.keys import TIERS
from rt_predictor_core.features.table import NAMES, HistoryRows
from rt_predictor_core.history.log import EventLog
from rt_predictor_core.history.state import State
from rt_predictor_core.models.conformal import COVERAGE, WALLCLOCK_LEVELS, Calibration
from rt_predictor_core.models.forecast import Forecaster, Forecasts
from rt_predictor_core.models.neighbours import Neighbours
from rt_predictor_core.models.target import Target
from rt_predictor_core.models.trees import BinaryForest, ObliviousForest
from rt_predictor_core.requests import Requests

LEVELS = np.array([0.05, 0.5, 0.95])
RISKS = (0.5, 0.3, 0.2, 0.15, 0.1, 0.05, 0.02, 0.01, 0.001)


def forecasts(
    quantiles: list[float], request: float, limit: float, chance: float = np.nan, usual: float = np.nan
) -> Forecasts:
    none = np.zeros(1, np.uint8)
    return Forecasts(
        levels=LEVELS,
        free=np.array([quantiles]),
        wallclock_req=np.array([request]),
        limit=np.array([limit]),
        tier=none,
        jobs=none,
        plain=np.array([quantiles]),
        read=np.array([(COVERAGE, *WALLCLOCK_LEVELS)]),
        chance=np.array([chance]),
        usual=np.array([usual]),
    )


@given(st.floats(1.0, 1e6), st.floats(60.0, 1e6), st.sampled_from([0.25, 0.5, 1.0]))
def test_a_target_turns_back_into_its_run_time(run: float, request: float, power: float) -> None:
    target = Target(power=power, usual_wallclock=3600.0, grace=0.0)
    asked = np.array([request])
    np.testing.assert_allclose(
        target.backward(target.forward(np.array([run]), asked)[:, None], asked), [[run]], rtol=1e-9
    )


def test_the_recommended_wallclock_is_the_quantile_in_whole_minutes_within_the_request() -> None:
    some = forecasts([100.0, 1000.0, 5000.0], 7200.0, 7200.0)
    assert some.wallclock(0.05)[0] == 5040
    assert some.wallclock(0.5)[0] == 1020
    assert some.wallclock(0.01)[0] == 6780
    assert forecasts([100.0, 1000.0, 7200.0], 7200.0, 7200.0).wallclock(0.01)[0] == 7200
    assert forecasts([100.0, 1000.0, 5000.0], np.nan, np.inf).wallclock(0.01)[0] > 5000


def test_the_recommended_wallclock_lies_at_the_level_that_held() -> None:
    some = forecasts([100.0, 1000.0, 5000.0], np.nan, np.inf)
    held = replace(some, read=np.array([[COVERAGE, 0.05, 0.1, 0.2, 0.5, 0.725, 0.95]]))
    assert [held.wallclock(risk)[0] for risk in (0.5, 0.1, 0.05, 0.01)] == [120, 1020, 3000, 5040]
    # between risks that are followed, a level between theirs: 0.925 lies halfway from 0.5 to 0.725
    assert held.wallclock(0.075)[0] == 2040


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1), st.sampled_from([None, 0.0, 500.0, 7000.0]))
def test_less_risk_never_shortens_the_recommendation(seed: int, elapsed: float | None) -> None:
    random = np.random.default_rng(seed)
    some = forecasts(np.sort(random.uniform(1, 7200, 3)).tolist(), 7200.0, 7200.0)
    some = replace(some, read=random.uniform(0.001, 0.9999, (1, 1 + len(WALLCLOCK_LEVELS))))
    some = some if elapsed is None else some.given(np.array([elapsed]))
    walls = [some.wallclock(risk)[0] for risk in RISKS]
    assert walls == sorted(walls)
    assert walls[-1] <= 7200


def test_the_chance_to_run_into_the_request_is_that_of_the_trees_until_the_job_runs() -> None:
    some = forecasts([100.0, 1000.0, 5000.0], 7200.0, 7200.0, chance=0.02)
    assert some.exceeds[0] == 0.02
    assert some.given(np.zeros(1)).exceeds[0] == 0.02
    np.testing.assert_allclose(some.given(np.array([1000.0])).exceeds[0], 0.04)
    assert some.given(np.array([7200.0])).exceeds[0] == 1.0
    assert np.isnan(forecasts([100.0, 1000.0, 5000.0], np.nan, np.inf).given(np.array([50.0])).exceeds[0])


@given(st.floats(0.0, 1.0), st.lists(st.floats(0.0, 10_000.0), min_size=2, max_size=2).map(sorted))
def test_the_longer_a_job_runs_the_likelier_it_runs_into_its_request(chance: float, elapsed: list[float]) -> None:
    some = forecasts([100.0, 1000.0, 5000.0], 7200.0, 7800.0, chance=chance)
    sooner, later = (some.given(np.array([moment])).exceeds[0] for moment in elapsed)
    assert chance <= sooner <= later <= 1.0


def test_the_most_likely_time_is_what_the_neighbours_took_until_the_job_runs() -> None:
    quantiles = [100.0, 1000.0, 5000.0]
    some = forecasts(quantiles, 7200.0, 7200.0, usual=300.0)
    assert some.most_likely[0] == 300.0
    assert forecasts(quantiles, 7200.0, 7200.0, usual=9000.0).most_likely[0] == 7200.0
    assert forecasts(quantiles, 7200.0, 7200.0, usual=0.2).most_likely[0] == 1.0
    unknown = forecasts(quantiles, 7200.0, 7200.0)
    assert unknown.most_likely[0] == unknown.distribution.mode()[0]
    running = some.given(np.array([400.0]))
    assert running.most_likely[0] == running.distribution.mode()[0] > 400.0


def test_everything_that_is_said_of_a_running_job_knows_how_long_it_has_run() -> None:
    before = forecasts([100.0, 1000.0, 5000.0], 7200.0, 7200.0, chance=0.01)
    running = before.given(np.array([3000.0]))
    assert running.median[0] > 3000.0 > before.median[0]
    assert (running.quantiles > 3000.0).all()
    assert running.most_likely[0] > 3000.0
    assert running.exceeds[0] > before.exceeds[0]
    assert running.wallclock(0.1)[0] >= before.wallclock(0.1)[0]
    np.testing.assert_array_equal(before.given(np.zeros(1)).quantiles, before.quantiles)


def test_a_job_past_its_request_is_not_told_to_have_asked_for_less_than_it_ran() -> None:
    graceful = forecasts([100.0, 1000.0, 5000.0], 7200.0, 7800.0, chance=0.01).given(np.array([7500.0]))
    assert graceful.wallclock(0.1)[0] == 7500
    assert (graceful.exceeds[0], graceful.distribution.at_limit[0]) == (1.0, False)


def stumps(random: np.random.Generator, outputs: int, trees: int = 30) -> BinaryForest:
    """Trees of one node each, on features chosen at random."""
    leaves = np.arange(2 * trees, dtype=np.int32)
    return BinaryForest(
        feature=random.integers(0, len(NAMES), trees).astype(np.int32),
        threshold=random.uniform(0.0, 8.0, trees).astype(np.float32),
        left=~leaves[::2],
        right=~leaves[1::2],
        missing_left=random.integers(0, 2, trees).astype(bool),
        leaf=random.normal(0.0, 0.05, 2 * trees),
        root=np.arange(trees, dtype=np.int32),
        output=(np.arange(trees) % outputs).astype(np.int32),
        base=np.sort(random.uniform(0.1, 1.0, outputs)),
    )


def oblivious(random: np.random.Generator, outputs: int) -> ObliviousForest:
    return ObliviousForest(
        feature=random.integers(0, len(NAMES), 3).astype(np.int32),
        threshold=random.uniform(0.0, 8.0, 3).astype(np.float32),
        missing_high=random.integers(0, 2, 3).astype(bool),
        first_split=np.array([0, 3], np.int32),
        first_leaf=np.zeros(1, np.int32),
        leaf=random.normal(0.0, 0.1, (8, outputs)),
        base=np.sort(random.uniform(0.1, 1.0, outputs)),
    )


def forecaster(seed: int, levels: np.ndarray, target: Target) -> Forecaster:
    """A forecaster of all shapes of members, with weights and a calibration at random."""
    random, m = np.random.default_rng(seed), len(levels)
    members = {
        "binary": stumps(random, m),
        "neighbours": Neighbours.of(levels, target, "near"),
        "oblivious": oblivious(random, m),
        "neighbours_wide": Neighbours.of(levels, target, "wide"),
        "other": stumps(random, m),
    }
    weights = random.dirichlet(np.ones(len(members)), m).T
    read = np.sort(random.uniform(0.01, 0.99, (len(TIERS), m + 1 + len(WALLCLOCK_LEVELS))), axis=1)
    heard = dict(zip(members, weights, strict=True))
    return Forecaster(levels, members, heard, stumps(random, 1), Calibration(levels, read), target)


def asked(
    random_log: Callable[[int, int], tuple[Requests, EventLog]], jobs: int, seed: int
) -> tuple[Requests, HistoryRows]:
    requests, log = random_log(jobs, seed)
    return requests, State().replay(log, requests)


def said_of(some: Forecasts) -> dict[str, np.ndarray]:
    told = {field.name: getattr(some, field.name) for field in fields(some) if field.name not in {"levels", "elapsed"}}
    told |= {"quantiles": some.quantiles, "most_likely": some.most_likely, "exceeds": some.exceeds}
    return told | {f"wallclock {risk}": some.wallclock(risk) for risk in RISKS}


@pytest.mark.parametrize("outputs", [3, 7, 9])
@pytest.mark.parametrize("power", [0.5, 1.0])
def test_one_job_is_told_to_the_bit_what_it_is_told_among_many(
    random_log: Callable[[int, int], tuple[Requests, EventLog]], outputs: int, power: float
) -> None:
    levels = np.linspace(0.05, 0.95, outputs)
    model = forecaster(outputs, levels, Target(power, 3600.0, 0.0))
    requests, history = asked(random_log, 80, 3)
    many = model.forecast(requests, history)
    for batch in (many, many.given(np.linspace(0.0, 80.0, len(many)))):
        whole = said_of(batch)
        for job in range(len(many)):
            row = slice(job, job + 1)
            one = model.forecast(requests.take(row), history.take(row))
            one = one if batch.elapsed is None else one.given(batch.elapsed[row])
            for name, value in said_of(one).items():
                np.testing.assert_array_equal(value, whole[name][row], err_msg=name)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_forecast_is_in_order_whatever_the_members_and_the_calibration_say(
    random_log: Callable[[int, int], tuple[Requests, EventLog]], seed: int
) -> None:
    model = forecaster(seed, np.array([0.05, 0.25, 0.5, 0.75, 0.95]), Target(1.0, 3600.0, 0.0))
    requests, history = asked(random_log, 30, seed)
    some = model.forecast(requests, history)
    for told in (some.free, some.plain, some.quantiles):
        assert np.isfinite(told).all()
        assert (np.diff(told) >= 0).all()
        assert (told >= 1.0).all()
    assert (some.quantiles <= some.limit[:, None]).all()
    assert (np.isnan(some.exceeds) == np.isnan(requests.wallclock_req)).all()
    known = ~np.isnan(some.exceeds)
    assert ((some.exceeds[known] > 0.0) & (some.exceeds[known] < 1.0)).all()


def test_what_the_neighbours_took_is_the_median_of_the_choosiest_kernel(
    random_log: Callable[[int, int], tuple[Requests, EventLog]],
) -> None:
    requests, history = asked(random_log, 80, 4)
    some = forecaster(1, LEVELS, Target(1.0, 3600.0, 0.0)).forecast(requests, history)
    median = history.features[:, features.FEATURES.index("near_q50_log")].astype(float)
    np.testing.assert_allclose(some.usual, np.expm1(median), rtol=1e-14)
    assert np.isnan(some.usual[0])


@pytest.mark.parametrize("elapsed", [None, 0.0, 1_800.0])
def test_what_is_told_at_once_is_what_each_part_says(
    random_log: Callable[[int, int], tuple[Requests, EventLog]], elapsed: float | None
) -> None:
    requests, history = asked(random_log, 80, 6)
    some = forecaster(1, LEVELS, Target(0.5, 3600.0, 60.0)).forecast(requests, history)
    some = some if elapsed is None else some.given(np.full(len(some), elapsed))
    told = some.told(0.2)
    parts = (some.quantiles, some.median, some.interval, some.most_likely)
    np.testing.assert_array_equal(told.times, np.column_stack(parts))
    np.testing.assert_array_equal(told.wallclock, some.wallclock(0.2))


def test_a_calibration_that_learns_moves_the_quantiles_but_not_the_median(
    random_log: Callable[[int, int], tuple[Requests, EventLog]],
) -> None:
    requests, history = asked(random_log, 40, 5)
    model = forecaster(2, LEVELS, Target(1.0, 3600.0, np.inf))
    model = replace(model, calibration=Calibration(LEVELS))
    before = model.forecast(requests, history)
    np.testing.assert_allclose(before.free, before.plain, rtol=1e-12)
    for tier in range(len(TIERS)):
        for _ in range(4):
            model.calibration.learn(tier, np.ones(2))
    after = model.forecast(requests, history)
    np.testing.assert_array_equal(after.median, before.median)
    # where quantiles coincide a higher level reads the same time
    assert (after.free[:, [0, 2]] >= before.free[:, [0, 2]]).all()
    assert (after.free[:, [0, 2]] > before.free[:, [0, 2]]).any(axis=0).all()
    np.testing.assert_array_equal(after.plain, before.plain)


def test_a_job_that_no_heard_member_knows_is_told_what_the_others_say(
    random_log: Callable[[int, int], tuple[Requests, EventLog]],
) -> None:
    model = forecaster(3, LEVELS, Target(1.0, 3600.0, np.inf))
    requests, history = asked(random_log, 40, 6)
    only = {name: np.full(3, float(name == "neighbours")) for name in model.members}
    deaf = replace(model, weights=only, calibration=Calibration(LEVELS))
    unknown = HistoryRows.empty(1)
    trees = ("binary", "oblivious", "other")
    third = {name: np.full(3, (name in trees) / 3.0) for name in model.members}
    told = deaf.forecast(requests.take(slice(0, 1)), unknown)
    expected = replace(deaf, weights=third).forecast(requests.take(slice(0, 1)), unknown)
    np.testing.assert_allclose(told.free, expected.free, rtol=1e-12)
    # those of whom the neighbours know something are told that, and nothing else
    known = np.flatnonzero(~np.isnan(history.features[:, features.FEATURES.index("near_q50_log")]))
    alone = replace(deaf, members={"neighbours": model.members["neighbours"]})
    np.testing.assert_array_equal(
        deaf.forecast(requests, history).free[known],
        alone.forecast(requests.take(known), history.take(known)).free,
    )
