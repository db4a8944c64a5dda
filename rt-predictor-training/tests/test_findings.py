"""Every check: evidence that must be flagged, evidence that must not, and evidence that says nothing."""

from __future__ import annotations

import re
from dataclasses import replace
from math import nan
from pathlib import Path
from typing import Any

import pytest

from rt_predictor_training.findings import CHECKS, Evidence, Finding, examine

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/reference/findings.md"


def evidence(ensemble: dict[str, float] | None = None, **changes: Any) -> Evidence:
    """Return evidence of a healthy model of a healthy log, with changes."""
    healthy = Evidence(
        scores=(
            {"name": "ensemble", "mae_h": 1.0, "coverage_90": 0.9, **(ensemble or {})},
            {"name": "request", "mae_h": 3.0},
            {"name": "last2", "mae_h": 1.5},
        ),
        weights={"one": 0.4, "two": 0.6},
        jobs=100_000,
        rejected=1_000,
        without_request=0.1,
        without_user=0.0,
        overrun=0.02,
        mean_run_h=2.0,
        newest_mean_run_h=2.5,
    )
    return replace(healthy, **changes)


def found(evidence: Evidence) -> dict[str, Finding]:
    return {finding.code: finding for finding in examine(evidence)}


def flagged(evidence: Evidence) -> set[str]:
    return {code for code, finding in found(evidence).items() if finding.section != "passed"}


CASES = {
    "RTP101": (evidence({"mae_h": 3.01}), evidence({"mae_h": 3.0})),
    "RTP102": (evidence({"mae_h": 1.51}), evidence({"mae_h": 1.5})),
    "RTP103": (evidence({"coverage_90": 0.84}), evidence({"coverage_90": 0.86})),
    "RTP104": (evidence(newest_mean_run_h=4.1), evidence(newest_mean_run_h=3.9)),
    "RTP201": (evidence(without_request=0.41), evidence(without_request=0.4)),
    "RTP202": (evidence(without_user=1.0), evidence(without_user=0.9)),
    "RTP203": (evidence(rejected=6_000), evidence(rejected=5_000)),
    "RTP204": (evidence(overrun=0.51), evidence(overrun=0.5)),
    "RTP205": (evidence(jobs=4_999, rejected=0), evidence(jobs=5_000, rejected=0)),
    "RTP301": (evidence(weights={"one": 0.0, "two": 1.0}), evidence(weights={"one": 0.1, "two": 0.9})),
}


@pytest.mark.parametrize("code", CASES)
def test_a_check_flags_what_it_must_and_nothing_else(code: str) -> None:
    bad, good = CASES[code]
    assert code in flagged(bad)
    assert found(good)[code].section == "passed"
    assert flagged(bad) - {code} <= {"RTP102"}  # worse than the request is worse than the last two jobs too


def test_every_check_has_a_case_and_codes_rise() -> None:
    assert [check.code for check in CHECKS] == list(CASES)
    assert list(CASES) == sorted(CASES)
    assert flagged(evidence()) == set()


def test_too_wide_an_interval_and_shorter_jobs_are_flagged_too() -> None:
    assert flagged(evidence({"coverage_90": 0.96})) == {"RTP103"}
    assert flagged(evidence(newest_mean_run_h=0.9)) == {"RTP104"}


def test_what_was_not_measured_is_neither_flagged_nor_passed() -> None:
    scores = ({"name": "ensemble", "mae_h": 1.0, "coverage_90": None},)
    unknown = evidence(scores=scores, overrun=nan, mean_run_h=nan, jobs=0, rejected=0)
    assert {"RTP101", "RTP102", "RTP103", "RTP104", "RTP203", "RTP204"} & set(found(unknown)) == set()


def test_a_finding_says_figures_and_remedy() -> None:
    finding = found(evidence(without_request=0.62))["RTP201"]
    assert finding.entry() == {
        "code": "RTP201",
        "title": "requested wallclock often missing",
        "section": "issue",
        "explanation": f"62.0% of the rows have no requested wallclock; {finding.remedy}",
    }
    assert str(finding).startswith("issue RTP201 requested wallclock often missing: 62.0%")
    assert found(evidence())["RTP201"].entry()["explanation"] == "10.0% of the rows have no requested wallclock"


def test_the_reference_lists_every_finding_as_it_is() -> None:
    rows = re.findall(r"^\| (RTP\d+) \| (\w+) \| ([^|]+) \|", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == [(check.code, check.section, check.title) for check in CHECKS]
