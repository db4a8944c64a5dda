"""Why a median is what it is: exact, whole, and from the forecaster itself."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rt_predictor_core.features import history as features
from rt_predictor_core.features.groups import GROUPS, group_of
from rt_predictor_core.features.table import NAMES, HistoryRows, assemble
from rt_predictor_core.history.log import EventLog
from rt_predictor_core.history.state import State
from rt_predictor_core.models.conformal import Calibration
from rt_predictor_core.models.explanation import explain, shapley
from rt_predictor_core.models.forecast import Forecaster, Inputs
from rt_predictor_core.models.neighbours import Neighbours
from rt_predictor_core.models.reference import Reference, as_history
from rt_predictor_core.models.target import Target
from rt_predictor_core.models.trees import BinaryForest
from rt_predictor_core.requests import Requests

RandomLog = Callable[[int, int], tuple[Requests, EventLog]]

LEVELS = np.array([0.05, 0.5, 0.95])
TARGET = Target(power=0.5, usual_wallclock=3600.0, grace=60.0)


def stumps(seed: int, outputs: int) -> BinaryForest:
    """Three hundred questions about random features, so that every group is asked about."""
    random = np.random.default_rng(seed)
    trees = 300
    return BinaryForest(
        feature=random.integers(0, len(NAMES), trees).astype(np.int32),
        threshold=random.normal(2.0, 3.0, trees).astype(np.float32),
        left=~np.arange(0, 2 * trees, 2, dtype=np.int32),
        right=~np.arange(1, 2 * trees, 2, dtype=np.int32),
        missing_left=random.random(trees) < 0.5,
        leaf=random.normal(0.0, 0.02, 2 * trees),
        root=np.arange(trees, dtype=np.int32),
        output=random.integers(0, outputs, trees).astype(np.int32),
        base=np.full(outputs, 0.5),
    )


def forecaster(seed: int) -> Forecaster:
    members = {"trees": stumps(seed, 3), "neighbours": Neighbours.of(LEVELS, TARGET, "near")}
    heard = {name: np.full(3, 0.5) for name in members}
    return Forecaster(LEVELS, members, heard, stumps(seed + 1, 1), Calibration(LEVELS), TARGET)


def replayed(log: tuple[Requests, EventLog]) -> tuple[Requests, HistoryRows]:
    requests, events = log
    return requests, State().replay(events, requests, np.arange(len(events)), lambda *_: None)


def reference(log: tuple[Requests, EventLog]) -> Reference:
    requests, history = replayed(log)
    return Reference.of(requests, assemble(requests, history))


def one(some: Forecaster, requests: Requests, history: HistoryRows, row: int) -> Inputs:
    return some.inputs(requests.take(slice(row, row + 1)), history.take(slice(row, row + 1)))


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000), row=st.integers(0, 59))
def test_baseline_and_contributions_sum_to_the_forecast(seed: int, row: int, random_log: RandomLog) -> None:
    log, some = random_log(60, seed), forecaster(seed)
    requests, history = replayed(log)
    inputs, typical = one(some, requests, history, row), reference(log)
    told = explain(some, typical, inputs)
    (median,) = some.told(inputs).median
    assert told.baseline + sum(told.contributions.values()) == pytest.approx(median, rel=1e-9, abs=1e-6)
    assert tuple(told.contributions) == GROUPS
    alone = some.forecast(typical.requests(1), as_history(typical.history[None]))
    assert told.baseline == alone.median[0]


def test_a_typical_job_has_nothing_to_explain(random_log: RandomLog) -> None:
    typical, some = reference(random_log(60, 3)), forecaster(3)
    inputs = some.inputs(typical.requests(1), as_history(typical.history[None]))
    assert set(explain(some, typical, inputs).contributions.values()) == {0.0}


def test_a_group_that_no_member_asks_about_contributes_nothing(random_log: RandomLog) -> None:
    log = random_log(60, 5)
    requests, history = replayed(log)
    some = forecaster(5)
    blind = [name for name in NAMES if group_of(name) != "place"]
    seen = np.array([NAMES.index(name) for name in blind], np.int32)
    trees = some.members["trees"]
    asked = BinaryForest(**{**trees.arrays(), "feature": seen[trees.feature % len(seen)]})
    some = Forecaster(LEVELS, {"trees": asked}, {"trees": np.ones(3)}, some.chance, some.calibration, TARGET)
    told = [explain(some, reference(log), one(some, requests, history, row)) for row in range(60)]
    assert all(abs(each.contributions["place"]) < 1e-9 for each in told)
    assert any(abs(each.contributions["user"]) > 1.0 for each in told)


@given(st.lists(st.floats(-1e6, 1e6), min_size=16, max_size=16))
def test_shapley_values_are_the_mean_effect_over_all_orders(values: list[float]) -> None:
    game, means = np.array(values), np.zeros(4)
    orders = list(permutations(range(4)))
    for order in orders:
        coalition = 0
        for player in order:
            means[player] += (game[coalition | 1 << player] - game[coalition]) / len(orders)
            coalition |= 1 << player
    np.testing.assert_allclose(shapley(game), means, rtol=1e-9, atol=1e-6)


def test_every_feature_has_a_group_and_every_group_a_feature() -> None:
    assert {group_of(name) for name in NAMES} == set(GROUPS)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000))
def test_the_tier_that_features_imply_is_the_one_that_the_history_told(seed: int, random_log: RandomLog) -> None:
    _, history = replayed(random_log(80, seed))
    implied = as_history(history.features)
    np.testing.assert_array_equal(implied.tier, history.tier)
    np.testing.assert_array_equal(implied.jobs, history.jobs)


def test_the_features_of_the_history_are_the_last_of_the_table() -> None:
    assert NAMES[-len(features.FEATURES) :] == features.FEATURES
