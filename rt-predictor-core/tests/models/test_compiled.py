"""What is compiled says, to the bit, what its definition says in plain numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rt_predictor_core.features import neighbours
from rt_predictor_core.features.table import NAMES
from rt_predictor_core.models.blend import blend, monotone
from rt_predictor_core.models.conformal import COVERAGE, HIGHEST, LOWEST, WALLCLOCK_LEVELS, Calibration
from rt_predictor_core.models.distribution import LEANS, Distribution
from rt_predictor_core.models.forecast import Forecaster, Forecasts
from rt_predictor_core.models.neighbours import Neighbours
from rt_predictor_core.models.target import Target
from rt_predictor_core.models.trees import BinaryForest, ObliviousForest
from rt_predictor_core.models.walk import MOST_FEATURES

LEVELS = np.array([0.05, 0.25, 0.5, 0.75, 0.9, 0.95])
SEEDS = st.integers(0, 2**32 - 1)
GRACES = st.sampled_from([0.0, 28.0, np.inf])
EDGES = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, np.finfo(np.float32).max], np.float32)


def forest(random: np.random.Generator, trees: int, features: int, levels: int) -> BinaryForest:
    """Trees of any form, some of a leaf alone, whose thresholds are among the edges of what a table holds."""
    columns: dict[str, list[float]] = {"feature": [], "threshold": [], "left": [], "right": [], "missing_left": []}
    leaves: list[float] = []

    def grow(depth: int) -> int:
        if depth == 0 or random.random() < 0.3:
            leaves.append(random.normal())
            return ~(len(leaves) - 1)
        node = len(columns["feature"])
        threshold = random.choice(EDGES[1:]) if random.random() < 0.3 else random.normal()
        row = (random.integers(features), threshold, 0, 0, random.random() < 0.5)
        for column, value in zip(columns.values(), row, strict=True):
            column.append(value)
        columns["left"][node] = grow(depth - 1)
        columns["right"][node] = grow(depth - 1)
        return node

    roots = [grow(int(random.integers(0, 7))) for _ in range(trees)]
    kinds = {"threshold": np.float32, "missing_left": bool}
    return BinaryForest(
        **{name: np.array(column, kinds.get(name, np.int32)) for name, column in columns.items()},
        leaf=np.array(leaves),
        root=np.array(roots, np.int32),
        output=random.integers(0, levels, trees).astype(np.int32),
        base=random.normal(size=levels),
    )


def oblivious(random: np.random.Generator, trees: int, features: int, levels: int) -> ObliviousForest:
    depths = random.integers(0, 5, trees)
    splits = int(depths.sum())
    return ObliviousForest(
        feature=random.integers(0, features, splits).astype(np.int32),
        threshold=random.choice(EDGES[1:], splits),
        missing_high=random.random(splits) < 0.5,
        first_split=np.cumsum([0, *depths], dtype=np.int32),
        first_leaf=np.cumsum([0, *(1 << depths)], dtype=np.int32)[:-1],
        leaf=random.normal(size=(int((1 << depths).sum()), levels)),
        base=random.normal(size=levels),
    )


def rows(random: np.random.Generator, jobs: int, features: int) -> np.ndarray:
    table = random.normal(size=(jobs, features)).astype(np.float32)
    edges = random.random(table.shape) < 0.3
    table[edges] = random.choice(EDGES, int(edges.sum()))
    return table


def told_by_trees(trees: BinaryForest, row: np.ndarray) -> np.ndarray:
    out = trees.base.copy()
    for root, output in zip(trees.root, trees.output, strict=True):
        node = root
        while node >= 0:
            value = row[trees.feature[node]]
            left = trees.missing_left[node] if np.isnan(value) else value <= trees.threshold[node]
            node = trees.left[node] if left else trees.right[node]
        out[output] += trees.leaf[~node]
    return out


def told_by_oblivious_trees(trees: ObliviousForest, row: np.ndarray) -> np.ndarray:
    out = trees.base.copy()
    for first, last, leaf in zip(trees.first_split, trees.first_split[1:], trees.first_leaf, strict=False):
        values = row[trees.feature[first:last]]
        high = np.where(np.isnan(values), trees.missing_high[first:last], values > trees.threshold[first:last])
        out += trees.leaf[leaf + int((high << np.arange(last - first)).sum())]
    return out


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.sampled_from([1, 3, 63, 64, 130]), st.sampled_from([0, 1, 15, 16, 17, 40]))
def test_trees_walked_in_step_reach_the_leaves_that_each_reaches_alone(seed: int, jobs: int, trees: int) -> None:
    random = np.random.default_rng(seed)
    table = rows(random, jobs, 5)
    binary, other = forest(random, trees, 5, 3), oblivious(random, trees, 5, 3)
    np.testing.assert_array_equal(binary.evaluate(table), [told_by_trees(binary, row) for row in table])
    np.testing.assert_array_equal(other.evaluate(table), [told_by_oblivious_trees(other, row) for row in table])


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_a_forest_without_some_levels_says_the_same_at_the_others(seed: int) -> None:
    random = np.random.default_rng(seed)
    whole, table, wanted = forest(random, 20, 5, 4), rows(random, 7, 5), random.random(4) < 0.5
    some, told = whole.only(wanted).evaluate(table), whole.evaluate(table)
    np.testing.assert_array_equal(some[:, wanted], told[:, wanted])
    np.testing.assert_array_equal(some[:, ~wanted], np.tile(whole.base[~wanted], (7, 1)))


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.lists(st.sampled_from([0, 1, 20]), min_size=1, max_size=4), st.sampled_from([1, 7, 64]))
def test_forests_side_by_side_say_what_each_says_alone(seed: int, trees: list[int], jobs: int) -> None:
    random = np.random.default_rng(seed)
    forests = [forest(random, some, 5, levels) for levels, some in enumerate(trees, 1)]
    table = rows(random, jobs, 5)
    together = BinaryForest.side_by_side(forests)
    np.testing.assert_array_equal(together.evaluate(table), np.hstack([one.evaluate(table) for one in forests]))
    # all that is known of them, types and forms: as if they had been read
    BinaryForest.from_arrays(together.arrays())
    others = [oblivious(random, some, 5, levels) for levels, some in enumerate(trees, 1)]
    beside = ObliviousForest.side_by_side(others)
    np.testing.assert_array_equal(beside.evaluate(table), np.hstack([one.evaluate(table) for one in others]))
    ObliviousForest.from_arrays(beside.arrays())


def test_nodes_that_lead_in_a_circle_are_refused() -> None:
    good = forest(np.random.default_rng(1), 5, 5, 1)
    assert good.left.max() > 0
    circle = BinaryForest(**{**good.arrays(), "left": np.zeros_like(good.left)})
    with pytest.raises(ValueError, match="does not fit"):
        circle.evaluate(rows(np.random.default_rng(1), 1, 5))


def test_more_features_than_a_link_can_name_are_refused() -> None:
    good = forest(np.random.default_rng(1), 5, 5, 1)
    wide = BinaryForest(**{**good.arrays(), "feature": np.full_like(good.feature, MOST_FEATURES)})
    with pytest.raises(ValueError, match=str(MOST_FEATURES)):
        wide.evaluate(np.zeros((1, MOST_FEATURES + 1), np.float32))


def told_by_neighbours(member: Neighbours, table: np.ndarray) -> np.ndarray:
    known, target = np.array(neighbours.LEVELS), Target(*member.target.tolist())
    right = np.clip(np.searchsorted(known, member.levels), 1, len(known) - 1)
    share = np.clip((member.levels - known[right - 1]) / (known[right] - known[right - 1]), 0.0, 1.0)
    run = np.expm1(table[:, member.columns].astype(float))
    run = (1.0 - share) * run[:, right - 1] + share * run[:, right]
    request = np.expm1(table[:, NAMES.index("log_wallclock_req")].astype(float))
    limit = np.where(np.isnan(request), np.inf, request + target.grace)[:, None]
    scale = np.where(np.isnan(request), target.usual_wallclock, request)[:, None]
    return np.asarray((np.minimum(run, limit) / scale) ** target.power)


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.sampled_from([0.3, 0.5, 1.0]), GRACES, st.sampled_from(["near", "wide"]))
def test_neighbours_say_what_their_definition_says(seed: int, power: float, grace: float, width: str) -> None:
    random = np.random.default_rng(seed)
    table = np.abs(random.normal(8.0, 3.0, (9, len(NAMES)))).astype(np.float32)
    table[random.random(table.shape) < 0.2] = np.nan
    member = Neighbours.of(LEVELS, Target(power, 3600.0, grace), width)
    # compiled code and numpy round expm1 and powers differently in the last place
    np.testing.assert_allclose(member.evaluate(table), told_by_neighbours(member, table), rtol=1e-14)


def made(random: np.random.Generator, jobs: int, grace: float, *, runs: bool) -> Forecasts:
    """Forecasts of jobs at random, some without a request or neighbours, some past their limits."""
    wallclock = np.where(random.random(jobs) < 0.2, np.nan, random.choice([60.0, 3600.0, 90_000.0], jobs))
    free, plain = (np.sort(random.choice([1.0, 60.0, 5e3, 9e4], (jobs, 6)) * random.uniform(1, 2), 1) for _ in "ab")
    some = Forecasts(
        levels=LEVELS,
        free=free,
        wallclock_req=wallclock,
        limit=np.where(np.isnan(wallclock), np.inf, wallclock + grace),
        tier=np.zeros(jobs, np.uint8),
        jobs=np.zeros(jobs, np.uint32),
        plain=plain,
        read=random.uniform(LOWEST, HIGHEST, (jobs, 1 + len(WALLCLOCK_LEVELS))),
        chance=random.random(jobs),
        usual=np.where(random.random(jobs) < 0.3, np.nan, random.exponential(3600.0, jobs)),
    )
    return some.given(random.choice([0.0, 30.0, 3600.0, 1e6], jobs)) if runs else some


def elapsed_of(some: Forecasts) -> np.ndarray:
    return np.zeros(len(some)) if some.elapsed is None else some.elapsed


def interval_of(some: Forecasts) -> np.ndarray:
    plain = Distribution(LEVELS, some.plain, some.limit, elapsed_of(some))
    below = (1.0 - COVERAGE) * LEANS
    lower, upper = np.hsplit(plain.quantile(np.concatenate([below, below + COVERAGE])), 2)
    lean, covered = LEANS[np.argmin(upper - lower, axis=1)], some.read[:, 0]
    ends = plain.quantile(np.column_stack([lean * (1.0 - covered), lean + covered * (1.0 - lean)]))
    return np.asarray(np.maximum(ends, 1.0))


def wallclock_of(some: Forecasts, risk: float) -> np.ndarray:
    n, elapsed, level = len(some), elapsed_of(some), 1.0 - risk
    plain = Distribution(LEVELS, some.plain, np.full(n, np.inf), np.zeros(n))
    read = np.sort(np.column_stack([np.zeros(n), some.read[:, 1:], np.ones(n)]), axis=1)
    known = np.array([0.0, *WALLCLOCK_LEVELS, 1.0])
    outlasted = [np.interp(*row) for row in zip(plain.cdf(elapsed), read, [known] * n, strict=True)]
    asked = [np.interp(1.0 - (1.0 - level) * (1.0 - o), known, row) for o, row in zip(outlasted, read, strict=True)]
    time = plain.quantile(np.clip(asked, LOWEST, HIGHEST)[:, None])[:, 0]
    started = np.where(elapsed > 0.0, np.nextafter(elapsed, np.inf), 0.0)
    time = np.minimum(np.maximum(time, started), np.maximum(some.limit, elapsed))
    request = np.where(np.isfinite(some.limit), some.wallclock_req, np.inf)
    return np.asarray(np.ceil(np.minimum(time, np.maximum(request, elapsed)) / 60) * 60, np.int64)


def most_likely_of(some: Forecasts) -> np.ndarray:
    atoms = Distribution(LEVELS, some.free, some.limit, elapsed_of(some)).quantile((np.arange(20) + 0.5) / 20)
    ratio = np.minimum(atoms[:, :, None], atoms[:, None]) / np.maximum(atoms[:, :, None], atoms[:, None])
    # cumsum adds from the left; sum adds in pairs
    mode = atoms[np.arange(len(some)), np.argmax(np.cumsum(ratio, axis=2)[:, :, -1], axis=1)]
    known = np.minimum(np.maximum(some.usual, 1.0), some.limit)
    return mode if some.elapsed is not None else np.where(np.isnan(known), mode, known)


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, jobs=st.sampled_from([1, 5]), grace=GRACES, runs=st.booleans(), risk=st.floats(0.01, 0.5))
def test_forecasts_say_what_their_definitions_say(
    seed: int, jobs: int, grace: float, *, runs: bool, risk: float
) -> None:
    some = made(np.random.default_rng(seed), jobs, grace, runs=runs)
    np.testing.assert_array_equal(some.interval, interval_of(some))
    np.testing.assert_array_equal(some.wallclock(risk), wallclock_of(some, risk))
    np.testing.assert_array_equal(some.most_likely, most_likely_of(some))


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.lists(st.sampled_from(["binary", "oblivious", "near", "wide"]), max_size=5), st.sampled_from([1, 9]))
def test_members_as_one_say_what_each_says_and_trees_that_nobody_hears_change_nothing(
    seed: int, kinds: list[str], jobs: int
) -> None:
    random = np.random.default_rng(seed)
    target = Target(0.5, 3600.0, 28.0)
    grow = {"binary": forest, "oblivious": oblivious}
    members = {
        f"{number} {kind}": grow[kind](random, 20, len(NAMES), 6)
        if kind in grow
        else Neighbours.of(LEVELS, target, kind)
        for number, kind in enumerate(kinds)
    }
    heard = random.random((len(kinds), 6)) < 0.5
    weights = dict(zip(members, heard / 3.0, strict=True))
    chance = forest(random, 20, len(NAMES), 1)
    model = Forecaster(LEVELS, members, weights, chance, Calibration(LEVELS), target)
    table = np.abs(random.normal(8.0, 3.0, (jobs, len(NAMES)))).astype(np.float32)
    table[1::2] = np.nan
    alone = [member.evaluate(table) for member in members.values()]
    expected = monotone(blend(np.array(alone).reshape(-1, jobs, 6), heard))
    said = model.said(table)
    np.testing.assert_array_equal(said.raw, expected)
    np.testing.assert_array_equal(said.log_odds, chance.evaluate(table)[:, 0])
