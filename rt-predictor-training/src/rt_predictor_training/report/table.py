"""The summary of a training run as tables for a terminal."""

from __future__ import annotations

from rich.table import Table

from rt_predictor_core.artifact.manifest import FoldEntry, Manifest
from rt_predictor_training.report.moments import minute


def summary(manifest: Manifest) -> Table:
    """Return the scores of the ensemble, its members and the baselines on the newest jobs."""
    table = Table(
        title=f"model {manifest.version}: the newest jobs of the log, unseen in training", title_justify="left"
    )
    table.add_column("method")
    for heading in ("MAE h", "median AE min", "ratio", "under %", "coverage 90 %", "width h"):
        table.add_column(heading, justify="right")
    weights = {member.name: member.weight for member in manifest.members}
    for row in manifest.scores:
        name = row["name"]
        label = f"{name} (weight {weights[name]:.1f})" if name in weights else name
        table.add_row(
            label,
            _number(row["mae_h"], 3),
            _number(row["median_ae_min"], 2),
            _number(row["ratio_accuracy"], 3),
            _number(row["under_rate"], 1, 100),
            _number(row.get("coverage_90"), 1, 100),
            _number(row.get("width_90_h"), 2),
        )
    return table


def tiers(fold: FoldEntry) -> Table:
    """Return how good the ensemble was on the same jobs, by how much history stood behind its forecasts."""
    table = Table(
        title=f"the ensemble on these {fold.jobs} jobs, submitted {minute(fold.first_submit)} to "
        f"{minute(fold.last_submit)} UTC",
        title_justify="left",
    )
    table.add_column("history of")
    for heading in ("jobs", "MAE h", "coverage 90 %"):
        table.add_column(heading, justify="right")
    for tier in fold.tiers:
        table.add_row(tier.tier, str(tier.jobs), _number(tier.mae_h, 3), _number(tier.coverage_90, 1, 100))
    return table


def _number(value: float | None, digits: int, scale: float = 1.0) -> str:
    return "-" if value is None else f"{scale * value:.{digits}f}"
