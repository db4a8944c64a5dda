"""Live figures as words and rows for tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from rt_predictor_client import MethodScore
from rt_predictor_client.output import percent
from rt_predictor_formats.times import DAY, MINUTE
from rt_predictor_ui.analytics.figures import QUANTILES, Figures, Look, Point
from rt_predictor_ui.text import spoken_duration

NOT_TOLD: Final = "not told"

SOME_DRIFT, MUCH_DRIFT = 0.1, 0.25
"""From which population stability index on a feature is said to have moved, and to have moved far, by custom."""

QUANTILE_NAMES: Final = tuple(f"p{100 * level:.0f}" for level in QUANTILES)

Rows = list[dict[str, str]]


def told(value: float | None, write: Callable[[float], str]) -> str:
    """Return a figure in words, or that it is not told."""
    return NOT_TOLD if value is None else write(value)


def rate(per_second: float) -> str:
    """Return calls in a second as ``12.3/s``."""
    return f"{per_second:,.3g}/s" if per_second < 100 else f"{per_second:,.0f}/s"  # noqa: PLR2004 - three digits


def short(seconds: float) -> str:
    """Return the duration of a call [s] as ``2.3 ms`` or ``1.25 s``."""
    return f"{1000 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.2f} s"


def age(moment: float | None, now: float) -> str:
    """Return how long ago a moment was, both [s since 1970]."""
    if moment is None:
        return NOT_TOLD
    passed = max(0.0, now - moment)
    return spoken_duration(round(passed / DAY) * DAY if passed > 3 * DAY else passed)


def source_words(look: Look) -> str:
    """Return where the figures come from, and what rates are taken over."""
    window = look.figures.window_seconds
    over = (
        "Rates need a second reading, in a few seconds."
        if window is None
        else f"Rates are those of the last {window:.0f} s."
        if window < MINUTE
        else f"Rates are those of the last {window / MINUTE:.0f} min."
    )
    return f"Told by {look.source}. {over}"


def history_words(figures: Figures) -> str:
    """Return whether forecasts know the newest reports: they do not where the breaker before their store is open."""
    share = figures.without_history
    if share is None:
        return NOT_TOLD
    return "in use" if share == 0 else f"unavailable for {percent(share)}"


def method_rows(figures: Figures) -> Rows:
    """Return a row for each method that is called."""
    return [
        {
            "Call": name,
            "Rate": told(method.calls_per_second, rate),
            **dict(zip(QUANTILE_NAMES, [told(one, short) for one in method.durations], strict=True)),
        }
        for name, method in figures.methods.items()
    ]


def live_rows(figures: Figures, score: MethodScore | None) -> Rows:
    """Return what ended jobs say of the forecasts, beside what training measured."""
    coverage = None if score is None else score.coverage_90
    return [
        {
            "Figure": "Mean error",
            "Live": told(figures.mae_hours, lambda hours: f"{hours:.2f} h"),
            "Measured in training": told(None if score is None else score.mae_hours, lambda hours: f"{hours:.2f} h"),
        },
        {
            "Figure": "90 % band covers",
            "Live": told(figures.coverage, percent),
            "Measured in training": told(coverage, percent),
        },
    ]


def drift_rows(drift: Mapping[str, float]) -> Rows:
    """Return a row for each feature, the one that moved farthest first."""
    return [
        {"Feature": name, "Stability index": f"{index:.3f}", "Moved": _moved(index)}
        for name, index in sorted(drift.items(), key=lambda one: -one[1])
    ]


def trend_words(
    points: Sequence[Point], name: str, values: Sequence[float | None], write: Callable[[float], str]
) -> str:
    """Return what a chart over time shows, for those who cannot see it."""
    known = [value for value in values if value is not None]
    if not known:
        return f"{name}: nothing yet."
    over = spoken_duration(points[-1].at - points[0].at)
    return f"{name} over {over}: {write(min(known))} to {write(max(known))}, at last {write(known[-1])}."


def _moved(index: float) -> str:
    return "far" if index >= MUCH_DRIFT else "somewhat" if index >= SOME_DRIFT else "no"
