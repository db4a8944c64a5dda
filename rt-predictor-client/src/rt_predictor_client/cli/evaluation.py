"""What ``rtp model --evaluation`` shows: how a model did part by part, and what it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from rt_predictor_client import output
from rt_predictor_client.cli.connection import Connection

if TYPE_CHECKING:
    from rt_predictor_client.insight import EvaluationInfo, MemberImportance, PartScore

SHOWN_FEATURES = 10
"""Features of a member in the table; the document has all."""

_BESIDE = ("request", "last2")
"""Baselines in the table; the document has all."""


def show(connection: Connection, version: str, *, as_json: bool) -> None:
    """Ask for the evaluation of a model, the current one where ``version`` is empty, and print it."""
    with connection.client() as client:
        told = client.evaluation(version)
    if as_json:
        output.print_json(output.document("evaluation", {"evaluation": told and _content(told)}))
    elif told is None:
        click.echo("not told: the model was published by a release that did not keep its evaluation")
    else:
        _print(told)


def _content(told: EvaluationInfo) -> dict[str, Any]:
    reliability = [{"level": level, "measured": measured} for level, measured in told.reliability]
    return asdict(told) | {"reliability": reliability}


def _print(told: EvaluationInfo) -> None:
    first, last = output.day(told.first_submit_time), output.day(told.last_submit_time)
    output.print_pairs(
        [("model", told.version), ("measured on", f"{told.overall.jobs} jobs submitted {first} to {last}")]
    )
    parts = {"month": told.months, "week": told.weeks, "run time": told.bands, "history": told.tiers}
    for heading, some in parts.items():
        _print_parts(heading, (*some, told.overall))
    click.echo()
    rows = [(output.percent(level), output.percent(measured)) for level, measured in told.reliability]
    output.print_table(("quantile", "ran no longer"), rows)
    for member in told.importance:
        _print_importance(member)


def _print_parts(heading: str, parts: Sequence[PartScore]) -> None:
    beside = [name for name in _BESIDE if any(one.name == name for one in parts[-1].baselines)]
    header = (heading, "jobs", "mean error", "median error", "90 % covers", "90 % width", *beside)
    click.echo()
    output.print_table(header, [_row(part, beside) for part in parts])


def _row(part: PartScore, beside: Sequence[str]) -> tuple[str, ...]:
    errors = {one.name: f"{one.mae_hours:.2f} h" for one in part.baselines}
    return (
        part.label,
        str(part.jobs),
        f"{part.mae_hours:.2f} h",
        f"{part.median_ae_minutes:.1f} min",
        output.percent(part.coverage_90),
        f"{part.width_90_hours:.2f} h",
        *(errors.get(name, "") for name in beside),
    )


def _print_importance(member: MemberImportance) -> None:
    click.echo()
    rows = [(one.feature, one.group, output.percent(one.share)) for one in member.features[:SHOWN_FEATURES]]
    output.print_table((f"{member.name} rests on", "group", "share"), rows)
