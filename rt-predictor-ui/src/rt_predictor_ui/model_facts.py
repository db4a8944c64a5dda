"""What the service tells of its models, as rows for tables; nothing is worked out that it does not tell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from rt_predictor_client import MethodScore, ModelInfo
from rt_predictor_client.output import day, percent

ENSEMBLE: Final = "ensemble"
"""Name of the method that answers."""

Rows = list[dict[str, str]]


def kind(model: ModelInfo, method: str) -> str:
    """Return whether a method is the ensemble, a member of it or a baseline."""
    if method == ENSEMBLE:
        return "the forecast"
    return "member" if method in dict(model.members) else "baseline"


def ensemble(model: ModelInfo) -> MethodScore | None:
    """Return the scores of the method that answers; None if it was not measured."""
    return next((score for score in model.scores if score.name == ENSEMBLE), None)


def score_rows(model: ModelInfo) -> Rows:
    """Return a row for each method, in the service's order."""
    return [{"Method": score.name, "Kind": kind(model, score.name), **_cells(score)} for score in model.scores]


def dial_rows(model: ModelInfo) -> Rows:
    """Return a row for each accepted risk."""
    return [
        {
            "Accepted risk": percent(one.risk),
            "Killed, measured": percent(one.measured_rate),
            "Recommended to requested": _or_dash(one.bound_to_request, percent),
        }
        for one in model.dial
    ]


def version_rows(models: Sequence[ModelInfo]) -> Rows:
    """Return a row for each model."""
    return [
        {
            "Version": model.version,
            "Answers now": "yes" if model.current else "",
            "Published": day(model.created_time),
            "Jobs": f"{model.jobs:,}",
            "Profile": model.profile,
            **_cells(ensemble(model)),
        }
        for model in models
    ]


def compared_rows(one: ModelInfo, other: ModelInfo) -> Rows:
    """Return what two models tell of themselves, side by side."""
    mine, theirs = _facts(one), _facts(other)
    names = dict.fromkeys((*mine, *theirs))
    return [{"Figure": name, one.version: mine.get(name, "-"), other.version: theirs.get(name, "-")} for name in names]


def before_current(models: Sequence[ModelInfo]) -> ModelInfo | None:
    """Return the newest model that is older than the current one; None if there is none."""
    current = next((i for i, model in enumerate(models) if model.current), None)
    return None if current is None or current + 1 >= len(models) else models[current + 1]


def trained_words(model: ModelInfo) -> str:
    """Return what a model was trained on, as a sentence."""
    first, last = day(model.first_submit_time), day(model.last_submit_time)
    profile = f", profile {model.profile}" if model.profile else ""
    created = day(model.created_time)
    return f"Published {created}, trained on {model.jobs:,} jobs submitted {first} to {last}{profile}."


def _facts(model: ModelInfo) -> dict[str, str]:
    weights = ", ".join(f"{name} {weight:.2f}" for name, weight in model.members)
    risks = {f"Killed at a risk of {percent(one.risk)}": percent(one.measured_rate) for one in model.dial}
    return {
        "Published": day(model.created_time),
        "Jobs": f"{model.jobs:,}",
        "Newest job": day(model.last_submit_time),
        "Profile": model.profile or "-",
        **_cells(ensemble(model)),
        "Weights": weights or "-",
        **risks,
    }


def _cells(score: MethodScore | None) -> dict[str, str]:
    names = ("Mean error", "Median error", "Ran longer", "90 % band covers", "Width of the band")
    if score is None:
        return dict.fromkeys(names, "-")
    cells = (
        f"{score.mae_hours:.2f} h",
        f"{score.median_ae_minutes:.1f} min",
        percent(score.under_rate),
        _or_dash(score.coverage_90, percent),
        _or_dash(score.width_90_hours, lambda width: f"{width:.2f} h"),
    )
    return dict(zip(names, cells, strict=True))


def _or_dash(value: float | None, write: Callable[[float], str]) -> str:
    return "-" if value is None else write(value)
