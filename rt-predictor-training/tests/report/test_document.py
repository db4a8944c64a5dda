"""The JSON of a backtest: the protocol's keys for any outcome, and breakdowns that add up."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rt_predictor_core.numbers import strict_json
from rt_predictor_training.outcome import Method, Outcome
from rt_predictor_training.report.groups import BANDS, by_band
from rt_predictor_training.report.json import document

Make = Callable[..., Outcome]

PROTOCOL = ("trace", "jobs", "evaluated", "blocks", "seconds", "methods")
SCORES = (
    "mae_h",
    "median_ae_min",
    "rmse_h",
    "ratio_accuracy",
    "r2",
    "r2_log",
    "under_rate",
    "coverage_90",
    "width_90_h",
)


def strictly(content: dict[str, Any]) -> Any:
    def refuse(constant: str) -> None:
        raise ValueError(constant)

    return json.loads(strict_json(content), parse_constant=refuse)


@settings(deadline=None, max_examples=60)
@given(jobs=st.integers(0, 40), seed=st.integers(0, 10_000), requests=st.booleans(), ablations=st.booleans())
def test_any_outcome_gives_strict_json_of_the_protocol(
    make: Make, *, jobs: int, seed: int, requests: bool, ablations: bool
) -> None:
    content = document(make(jobs, seed, requests=requests, ablations=ablations))
    assert strictly(content) == content
    assert tuple(content)[: len(PROTOCOL)] == PROTOCOL
    assert content["methods"][0]["name"] == "ensemble"
    for row in content["methods"]:
        assert set(row) == {"name", "kind", *SCORES}
    assert content["evaluated"] == jobs
    assert content["with_request"] == (jobs if requests else 0)
    assert len(content["ablations"]) == 3 * ablations


@settings(deadline=None, max_examples=60)
@given(jobs=st.integers(1, 60), seed=st.integers(0, 10_000))
def test_each_breakdown_holds_every_job_once_and_averages_to_the_whole(make: Make, jobs: int, seed: int) -> None:
    content = document(make(jobs, seed))
    ensemble = content["methods"][0]
    for kind in ("tiers", "months", "tenths", "bands"):
        filled = [row for row in content[kind] if row["jobs"]]
        weight = [row["jobs"] for row in filled]
        assert sum(weight) == jobs
        for key in ("mae_h", "coverage_90", "width_90_h"):
            assert np.average([row[key] for row in filled], weights=weight) == pytest.approx(ensemble[key])
        for method in content["methods"]:
            errors = [row["mae_h_by_method"][method["name"]] for row in filled]
            assert np.average(errors, weights=weight) == pytest.approx(method["mae_h"])
    assert content["at_limit"]["jobs"] + content["not_at_limit"]["jobs"] == jobs
    assert sum(row["jobs"] for row in content["exceedance"]) == jobs


def test_coverage_agrees_with_the_reliability_of_its_two_levels(make: Make) -> None:
    content = document(make(5000))
    share = {row["level"]: row["share"] for row in content["reliability"]}
    assert content["methods"][0]["coverage_90"] == pytest.approx(share[0.95] - share[0.05], abs=1e-3)
    assert list(share.values()) == sorted(share.values())


def test_the_dial_measures_what_a_person_would_count(make: Make) -> None:
    outcome = make(4000)
    run, request = outcome.run, outcome.wallclock_req
    outcome = replace(outcome, bounds={0.5: 0.5 * request, 0.1: np.full(4000, 1e12), 0.2: run})
    always, equal, half = document(outcome)["dial"]
    assert always["rate"] == always["rate_highest_tenth"] == 0.0
    assert equal["rate"] == 0.0
    assert equal["rate_with_limit"] == outcome.at_limit.mean()
    assert half["rate"] == pytest.approx((run > 0.5 * request).mean())
    assert half["bound_to_request"] == pytest.approx(0.5)
    assert half["rate_lowest_tenth"] < half["rate"] < half["rate_highest_tenth"]


def test_a_method_without_quantiles_has_no_interval(make: Make) -> None:
    outcome = make(50)
    alone = replace(outcome, methods=(Method("ensemble", "ensemble", outcome.run), *outcome.methods[1:]))
    content = document(alone)
    assert content["methods"][0]["coverage_90"] is None
    assert content["methods"][0]["mae_h"] == 0.0
    assert content["reliability"] == []
    assert {row["coverage_90"] for row in content["tenths"]} == {None}


def test_a_job_that_a_whole_days_limit_killed_is_below_the_edge(make: Make) -> None:
    run = np.array([600.0, 600.1, 3600.0, 86_400.0, 86_401.0])
    groups = by_band(replace(make(5), run=run))
    assert {group.label: group.rows.tolist() for group in groups if len(group.rows)} == {
        BANDS[0]: [0],
        BANDS[1]: [1, 2],
        BANDS[4]: [3],
        BANDS[5]: [4],
    }


def test_months_are_in_order_and_named_as_people_name_them(make: Make) -> None:
    outcome = replace(make(3), submit_time=np.array([0, 86_400 * 31, 86_400 * 31 + 1]))
    assert [(row["month"], row["jobs"]) for row in document(outcome)["months"]] == [("1970-01", 1), ("1970-02", 2)]
