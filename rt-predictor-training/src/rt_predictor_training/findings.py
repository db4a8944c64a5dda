"""Findings: what is unusual about a model or its log, by stable codes. docs/reference/findings.md explains each.

RTP1xx speak of the model, RTP2xx of the log, RTP3xx of the ensemble's parts. A code never changes its meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any, Final, Literal

Section = Literal["issue", "tip", "passed"]

ISSUE: Final = "issue"

LEAST_COVERAGE, MOST_COVERAGE = 0.85, 0.95
"""Where the measured coverage of a 90 % interval should lie."""

WITHOUT_REQUEST_SHARE = 0.40
"""More rows without a requested wallclock than this leave the forecasts without their best guide."""

WITHOUT_USER_SHARE = 0.99
"""A log in which this share of the rows names no user has no users."""

REJECTED_SHARE = 0.05
"""More refused rows than this mean that the export or its time zone is wrong, not that some jobs are odd."""

OVERRUN_SHARE = 0.50
"""Where more jobs than this run past their request, the request is no limit."""

FEW_JOBS = 5_000
"""Fewer jobs than this teach little of any single user."""

DRIFT_FACTOR = 2.0
"""The mean run time of the newest jobs should lie within this factor of that of the older ones."""


@dataclass(frozen=True)
class Evidence:
    """What the checks look at.

    Attributes
    ----------
    scores: as in ``Manifest.scores``, the ensemble first. weights: of the members in the blend, by name.
    jobs: accepted rows. rejected: refused rows. Of the jobs that training rests on:
    without_request, without_user: shares. overrun: share of the jobs with a request that ran past it; NaN where there
    are none. mean_run_h, newest_mean_run_h: of the older ones and of those that were scored [h].
    """

    scores: Sequence[Mapping[str, Any]]
    weights: Mapping[str, float]
    jobs: int
    rejected: int
    without_request: float
    without_user: float
    overrun: float
    mean_run_h: float
    newest_mean_run_h: float

    def score(self, method: str, name: str) -> float:
        """Return a score of a method; NaN where it was not measured."""
        found = [row.get(name) for row in self.scores if row["name"] == method]
        return float("nan") if not found or found[0] is None else float(found[0])


@dataclass(frozen=True)
class Finding:
    """The outcome of one check; ``remedy`` is empty where it passed."""

    code: str
    title: str
    section: Section
    explanation: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.section} {self.code} {self.title}: {self.explanation}" + (
            f"; {self.remedy}" if self.remedy else ""
        )

    def entry(self) -> dict[str, str]:
        """Return the finding for a report: code, title, section, explanation."""
        explanation = f"{self.explanation}; {self.remedy}" if self.remedy else self.explanation
        return {"code": self.code, "title": self.title, "section": self.section, "explanation": explanation}


Judged = tuple[bool, str] | None
"""Whether the check found something, with the figures; None where they were not measured."""


@dataclass(frozen=True)
class Check:
    """One check: what it is called when it finds something, how grave that is, and what to do then."""

    code: str
    title: str
    section: Section
    remedy: str
    judge: Callable[[Evidence], Judged]

    def examine(self, evidence: Evidence) -> Finding | None:
        """Return what the check says of the evidence; None where there is nothing to say."""
        judged = self.judge(evidence)
        if judged is None:
            return None
        found, explanation = judged
        if found:
            return Finding(self.code, self.title, self.section, explanation, self.remedy)
        return Finding(self.code, self.title, "passed", explanation)


def examine(evidence: Evidence) -> tuple[Finding, ...]:
    """Run all checks, in the order of their codes."""
    findings = (check.examine(evidence) for check in CHECKS)
    return tuple(finding for finding in findings if finding is not None)


def _against(baseline: str, words: str) -> Callable[[Evidence], Judged]:
    def judge(evidence: Evidence) -> Judged:
        own, other = evidence.score("ensemble", "mae_h"), evidence.score(baseline, "mae_h")
        if isnan(own) or isnan(other):
            return None
        return own > other, f"the mean absolute error is {own:.3f} h, that of {words} {other:.3f} h"

    return judge


def _coverage(evidence: Evidence) -> Judged:
    covered = evidence.score("ensemble", "coverage_90")
    if isnan(covered):
        return None
    bounds = f"{LEAST_COVERAGE:.0%} to {MOST_COVERAGE:.0%} is normal"
    return (
        not LEAST_COVERAGE <= covered <= MOST_COVERAGE,
        f"the 90 % interval held {covered:.1%} of the run times; {bounds}",
    )


def _drift(evidence: Evidence) -> Judged:
    old, new = evidence.mean_run_h, evidence.newest_mean_run_h
    if not old > 0.0 or not new > 0.0:
        return None
    return (
        not 1.0 / DRIFT_FACTOR <= new / old <= DRIFT_FACTOR,
        f"the newest jobs run for {new:.2f} h on average, the older ones for {old:.2f} h",
    )


def _requests(evidence: Evidence) -> Judged:
    share = evidence.without_request
    return share > WITHOUT_REQUEST_SHARE, f"{share:.1%} of the rows have no requested wallclock"


def _users(evidence: Evidence) -> Judged:
    return evidence.without_user > WITHOUT_USER_SHARE, f"{evidence.without_user:.1%} of the rows name no user"


def _rejected(evidence: Evidence) -> Judged:
    rows = evidence.jobs + evidence.rejected
    if not rows:
        return None
    share = evidence.rejected / rows
    return share > REJECTED_SHARE, f"{evidence.rejected} of {rows} rows were refused ({share:.1%})"


def _overrun(evidence: Evidence) -> Judged:
    if isnan(evidence.overrun):
        return None
    return evidence.overrun > OVERRUN_SHARE, f"{evidence.overrun:.1%} of the jobs ran longer than they had asked for"


def _few(evidence: Evidence) -> Judged:
    return evidence.jobs < FEW_JOBS, f"the log holds {evidence.jobs} jobs"


def _idle(evidence: Evidence) -> Judged:
    idle = [name for name, weight in evidence.weights.items() if weight == 0.0]
    if not idle:
        return False, "every member has a say"
    return True, f"{', '.join(idle)} {'has' if len(idle) == 1 else 'have'} weight 0 in the blend"


CHECKS: Final = (
    Check(
        "RTP101",
        "worse than the request",
        ISSUE,
        "do not use this model; look at what was refused, and train on a longer log",
        _against("request", "the requested wallclock"),
    ),
    Check(
        "RTP102",
        "worse than the user's last two jobs",
        ISSUE,
        "a mean of two jobs does better; train on a longer log or with a larger profile",
        _against("last2", "the mean of the user's last two jobs"),
    ),
    Check(
        "RTP103",
        "the interval does not cover what it says",
        ISSUE,
        "the newest jobs differ from those that it was calibrated on; train more often, or on a longer log",
        _coverage,
    ),
    Check(
        "RTP104",
        "the newest jobs differ from the older ones",
        "tip",
        "train more often, or leave out what is no longer typical with --sample-size",
        _drift,
    ),
    Check(
        "RTP201",
        "requested wallclock often missing",
        ISSUE,
        "export the time limit (Timelimit of sacct), or have the cluster require one",
        _requests,
    ),
    Check("RTP202", "no users", ISSUE, "export the user: most of what can be learnt is what each one does", _users),
    Check(
        "RTP203",
        "many rows refused",
        ISSUE,
        "keep them with --rejects, and look at their reasons: a column or the time zone may be wrong",
        _rejected,
    ),
    Check(
        "RTP204",
        "requests are not enforced",
        "tip",
        "forecasts may exceed the request; if the cluster does enforce it, check its unit in the log",
        _overrun,
    ),
    Check("RTP205", "few jobs", "tip", "train again when there are more", _few),
    Check(
        "RTP301",
        "a member without weight",
        "tip",
        "its fit costs time and changes nothing; a profile of your own may leave it out",
        _idle,
    ),
)
