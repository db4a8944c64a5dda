"""What there is in a folder of models, as a table for a terminal."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from rt_predictor_core.artifact.load import load, versions
from rt_predictor_core.artifact.manifest import Manifest, PromotionEntry
from rt_predictor_formats.errors import Problem
from rt_predictor_training.report.moments import minute


def listing(models: Path) -> Table:
    """Return all versions, newest first, each verified; the newest valid one is marked as current.

    Raises Problem NO_MODEL if there is none at all.
    """
    names = versions(models)
    if not names:
        raise Problem("NO_MODEL", "no model", place=str(models), remedy="train one with --data LOG")
    table = Table(title=f"{models}: * is current", title_justify="left")
    table.add_column("")
    table.add_column("version", no_wrap=True)
    table.add_column("created UTC", no_wrap=True)
    for heading in ("jobs", "MAE h", "cov. %"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("promotion")
    current_seen = False
    for name in names:
        try:
            row = _row(load(models / name).manifest)
        except Problem as problem:
            table.add_row("", name, "-", "-", "-", "-", f"invalid: {problem.thing} [{problem.code}]")
            continue
        table.add_row("" if current_seen else "*", name, *row)
        current_seen = True
    return table


def _row(manifest: Manifest) -> tuple[str, ...]:
    ensemble = manifest.scores[0] if manifest.scores else {}
    return (
        minute(manifest.created),
        str(manifest.jobs),
        _number(ensemble.get("mae_h"), "{:.3f}"),
        _number(ensemble.get("coverage_90"), "{:.1%}").rstrip("%"),
        promoted(manifest.promotion),
    )


def promoted(promotion: PromotionEntry | None) -> str:
    """Say in words why an artifact was published."""
    if promotion is None:
        return "not recorded"
    if promotion.rolled_back_to:
        return f"rolled back to {promotion.rolled_back_to} from {promotion.rolled_back_from}"
    found = f"; {', '.join(promotion.findings)}" if promotion.findings else ""
    if promotion.compared_with is None:
        return f"compared with the baselines only{found}"
    ours, theirs = (_number(value, "{:.3f}") for value in (promotion.mae_h, promotion.current_mae_h))
    how = "forced: " if promotion.forced else ""
    return f"{how}{ours} h against {theirs} h of {promotion.compared_with} on {promotion.jobs} jobs{found}"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)
