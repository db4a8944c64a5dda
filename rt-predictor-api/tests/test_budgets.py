"""Token buckets: what they let through, against a bucket that is written down as one."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_predictor_api.security.budgets import Budgets

STEPS = st.lists(
    st.tuples(st.floats(0, 5), st.sampled_from(["ada", "emmy"]), st.sampled_from([1.0, 1.5, 4.0, 40.0])), max_size=60
)
"""Seconds that pass, who spends, and how much."""

RATES = st.sampled_from([0.5, 1.0, 7.0, 100.0])
BURSTS = st.sampled_from([1.0, 3.0, 10.5])


@dataclass
class Clock:
    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Bucket:
    """What a bucket is: a number of units that grows with time, and may have been lent from."""

    rate: float
    burst: float
    units: float
    at: float

    def spend(self, now: float, cost: float) -> bool:
        self.units = min(self.burst, self.units + (now - self.at) * self.rate)
        self.at = now
        if self.units < 1 - 1e-6:
            return False
        self.units -= cost
        return True


@given(STEPS, RATES, BURSTS)
def test_a_budget_is_a_bucket_of_its_own_for_each_name(
    steps: list[tuple[float, str, float]], rate: float, burst: float
) -> None:
    clock = Clock()
    budgets = Budgets(rate, burst, 100, clock)
    buckets = {name: Bucket(rate, burst, burst, clock.now) for name in ("ada", "emmy")}
    for seconds, name, cost in steps:
        clock.now += seconds
        margin = abs(buckets[name].units + (clock.now - buckets[name].at) * rate - 1)
        if margin < 1e-4:
            continue  # either is right: sums of floats
        assert (budgets.spend(name, cost) == 0) == buckets[name].spend(clock.now, cost)


@given(STEPS, RATES, BURSTS)
def test_nobody_gets_more_than_burst_and_rate_times_time_and_one_debt(
    steps: list[tuple[float, str, float]], rate: float, burst: float
) -> None:
    clock = Clock()
    begun, spent, largest = clock.now, 0.0, 0.0
    budgets = Budgets(rate, burst, 100, clock)
    for seconds, _, cost in steps:
        clock.now += seconds
        if budgets.spend("ada", cost) == 0:
            spent, largest = spent + cost, max(largest, cost)
    assert spent <= burst + rate * (clock.now - begun) + max(0.0, largest - 1) + 1e-6


@given(STEPS, RATES, BURSTS)
def test_who_waits_as_long_as_told_is_let_through_and_not_before(
    steps: list[tuple[float, str, float]], rate: float, burst: float
) -> None:
    clock = Clock()
    budgets = Budgets(rate, burst, 100, clock)
    for seconds, name, cost in steps:
        clock.now += seconds
        if wait := budgets.spend(name, cost):
            told = clock.now
            clock.now = told + wait * 0.9 - 1e-6
            if clock.now > told:
                assert budgets.spend(name, cost) > 0
            clock.now = told + wait + 1e-9
            assert budgets.spend(name, cost) == 0


def test_names_are_bounded_and_full_buckets_are_forgotten() -> None:
    clock = Clock()
    budgets = Budgets(1.0, 5.0, 3, clock)
    for number in range(50):
        assert budgets.spend(f"caller {number}") == 0
        assert len(budgets) <= 3
    clock.now += 60
    assert budgets.spend("another") == 0
    assert len(budgets) == 1


def test_who_spends_on_is_not_forgotten_for_others() -> None:
    clock = Clock()
    budgets = Budgets(0.001, 3.0, 3, clock)
    refused = 0
    for number in range(20):
        budgets.spend(f"caller {number}")
        refused += budgets.spend("busy") > 0
    assert refused > 0


@pytest.mark.parametrize("cost", [1.0, 1_000.0])
def test_what_costs_more_than_the_burst_is_possible_and_paid_for_afterwards(cost: float) -> None:
    clock = Clock()
    budgets = Budgets(10.0, 5.0, 3, clock)
    assert budgets.spend("ada", cost) == 0
    clock.now += max(0.0, cost - 5.0) / 10.0
    assert (budgets.spend("ada") > 0) == (cost > 5.0)
