"""The summary of a training run and of a backtest as tables for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from rt_predictor_core.artifact.manifest import FoldEntry, Manifest
from rt_predictor_training.report import columns, words
from rt_predictor_training.report.columns import Column
from rt_predictor_training.report.moments import minute


def summary(manifest: Manifest) -> Table:
    """Return the scores of the ensemble, its members and the baselines on the newest jobs."""
    weights = {member.name: member.weight for member in manifest.members}
    return _scores(
        f"model {manifest.version}: the newest jobs of the log, unseen in training",
        manifest.scores,
        columns.SUMMARY,
        lambda name: f"{name} (weight {weights[name]:.1f})" if name in weights else name,
    )


def backtest_table(document: dict[str, Any]) -> Group:
    """Return the scores of all methods, and below them what matters most in sentences.

    ``document`` is what ``report.json.document`` made.
    """
    title = f"{document['trace']}: {document['evaluated']:,} of {document['jobs']:,} jobs, {document['blocks']} blocks"
    table = _scores(title, document["methods"], columns.ALL, str)
    return Group(table, *(Text(sentence) for sentence in words.verdict(document)))


def _scores(title: str, rows: Iterable[dict[str, Any]], shown: Sequence[Column], label: Callable[[str], str]) -> Table:
    table = Table(title=Text(title), title_justify="left")
    table.add_column("method")
    for column in shown:
        table.add_column(column.heading, justify="right")
    for row in rows:
        table.add_row(Text(label(row["name"])), *(column.text(row) for column in shown))
    return table


def tiers(fold: FoldEntry) -> Table:
    """Return how good the ensemble was on the same jobs, by how much history stood behind its forecasts."""
    table = Table(
        title=f"the ensemble on these {fold.jobs} jobs, submitted {minute(fold.first_submit)} to "
        f"{minute(fold.last_submit)} UTC",
        title_justify="left",
    )
    table.add_column("history of")
    shown = (columns.MAE, columns.COVERAGE)
    for heading in ("jobs", *(column.heading for column in shown)):
        table.add_column(heading, justify="right")
    for tier in fold.tiers:
        table.add_row(tier.tier, str(tier.jobs), *(column.text(asdict(tier)) for column in shown))
    return table
