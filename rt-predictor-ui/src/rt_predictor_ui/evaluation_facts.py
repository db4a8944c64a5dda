"""How a model did, part by part, as rows for tables; nothing is worked out that the service does not tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from rt_predictor_client.insight import EvaluationInfo, MemberImportance, PartScore
from rt_predictor_client.output import group_words, percent

BASELINES: Final[Mapping[str, str]] = {"request": "Request", "last2": "Last two jobs"}
"""Baselines that stand beside the forecast, by the service's name of each."""

NOMINAL: Final = 0.9
"""Share of jobs that the interval is made to cover."""

KINDS: Final[Mapping[str, str]] = {
    "By month": "months",
    "By week": "weeks",
    "By run time": "bands",
    "By history": "tiers",
}
"""Ways to part the jobs, by the field of an evaluation."""

Rows = list[dict[str, str]]


def parts(evaluation: EvaluationInfo, kind: str) -> tuple[PartScore, ...]:
    """Return the parts of a kind of ``KINDS``, in the service's order."""
    found: tuple[PartScore, ...] = getattr(evaluation, KINDS[kind])
    return found


def baseline_errors(part: PartScore) -> dict[str, float]:
    """Return the mean error [h] of each baseline that is told, by what the pages call it."""
    told = {one.name: one.mae_hours for one in part.baselines}
    return {label: told[name] for name, label in BASELINES.items() if name in told}


def part_rows(some: Sequence[PartScore]) -> Rows:
    """Return a row for each part."""
    names = dict.fromkeys(name for part in some for name in baseline_errors(part))
    return [
        {
            "Jobs of": part.label,
            "Jobs": f"{part.jobs:,}",
            "Mean error": f"{part.mae_hours:.2f} h",
            "Median error": f"{part.median_ae_minutes:.1f} min",
            "90 % band covers": percent(part.coverage_90),
            "Width of the band": f"{part.width_90_hours:.2f} h",
            **{f"Mean error, {name.lower()}": _hours(baseline_errors(part).get(name)) for name in names},
        }
        for part in some
    ]


def reliability_rows(evaluation: EvaluationInfo) -> Rows:
    """Return a row for each quantile."""
    return [{"Nominal": percent(level), "Measured": percent(measured)} for level, measured in evaluation.reliability]


def importance_rows(member: MemberImportance) -> Rows:
    """Return a row for each feature that a member rests on."""
    return [
        {"Feature": one.feature, "Share": percent(one.share), "Tells": group_words(one.group)}
        for one in member.features
    ]


def compared_parts(one: EvaluationInfo, other: EvaluationInfo, kind: str) -> Rows:
    """Return error and coverage of two models part by part; the parts of the first, then those of the other alone."""
    mine, theirs = ({part.label: part for part in parts(told, kind)} for told in (one, other))
    return [
        {
            "Jobs of": label,
            **{
                f"{what}, {version}": _figure(found.get(label), what)
                for what in ("mean error", "covers")
                for version, found in ((one.version, mine), (other.version, theirs))
            },
        }
        for label in dict.fromkeys((*mine, *theirs))
    ]


def _figure(part: PartScore | None, what: str) -> str:
    if part is None:
        return "-"
    return _hours(part.mae_hours) if what == "mean error" else percent(part.coverage_90)


def _hours(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} h"
