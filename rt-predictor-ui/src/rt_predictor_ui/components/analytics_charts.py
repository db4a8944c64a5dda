"""Live figures as pictures: calls and their durations over time, drift by feature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import altair as alt

from rt_predictor_formats.times import MINUTE
from rt_predictor_ui.analytics.facts import MUCH_DRIFT, QUANTILE_NAMES, SOME_DRIFT, rate, short, trend_words
from rt_predictor_ui.analytics.figures import Point
from rt_predictor_ui.palette import DASHES, FORECAST, LIMIT, OTHER

MOST_FEATURES: Final = 15
"""Features that the picture of drift shows."""

_HEIGHT: Final = 180
_TICKS: Final = 6
_LINES: Final = dict(zip(QUANTILE_NAMES, (OTHER, FORECAST, LIMIT), strict=True))


def calls_chart(points: Sequence[Point]) -> alt.Chart:
    """Return calls a second over time."""
    values = [point.calls_per_second for point in points]
    rows = [
        {"at": 1000 * point.at, "calls": value, "Calls": rate(value)}
        for point, value in zip(points, values, strict=True)
        if value is not None
    ]
    mark = alt.Chart(_data(rows), description=trend_words(points, "Calls a second", values, rate)).mark_line(
        color=FORECAST,
        point=len(rows) < 2,  # noqa: PLR2004 - one point makes no line
    )
    y = alt.Y("calls", type="quantitative", title="Calls a second", scale=alt.Scale(zero=True))
    chart = mark.encode(x=_time(points), y=y, tooltip=[_moment(), "Calls:N"]).properties(height=_HEIGHT)
    return cast("alt.Chart", chart.configure_mark(aria=False))


def durations_chart(points: Sequence[Point]) -> alt.Chart:
    """Return how long the forecast of one job took, over time, as a line for each quantile."""
    rows = [
        {"at": 1000 * point.at, "quantile": name, "milliseconds": 1000 * seconds, "Duration": short(seconds)}
        for point in points
        for name, seconds in zip(QUANTILE_NAMES, point.durations, strict=True)
        if seconds is not None
    ]
    names, colours = list(_LINES), list(_LINES.values())
    legend = alt.Legend(orient="bottom", title=None, symbolSize=250, symbolStrokeWidth=3)
    dashes = [DASHES[colour] or [1, 0] for colour in colours]
    dashes[0] = [2, 3]  # beside the plain line of another colour
    chart = (
        alt.Chart(_data(rows), description=_durations_words(points))
        .mark_line()
        .encode(
            x=_time(points),
            y=alt.Y("milliseconds", type="quantitative", title="One job [ms]", scale=alt.Scale(zero=True)),
            color=alt.Color("quantile:N", scale=alt.Scale(domain=names, range=colours), legend=legend),
            strokeDash=alt.StrokeDash("quantile:N", scale=alt.Scale(domain=names, range=dashes), legend=legend),
            tooltip=[_moment(), "quantile:N", "Duration:N"],
        )
        .properties(height=_HEIGHT + 40)
    )
    return cast("alt.Chart", chart.configure_mark(aria=False))


def drift_chart(drift: Mapping[str, float]) -> alt.LayerChart:
    """Return the stability index of the features that moved farthest as bars, with marks for somewhat and for far."""
    ordered = sorted(drift.items(), key=lambda one: -one[1])[:MOST_FEATURES]
    rows = [{"Feature": name, "index": index} for name, index in ordered]
    x = alt.X("index", type="quantitative", title="Population stability index")
    y = alt.Y(
        "Feature:N", sort=[name for name, _ in ordered], title=None, axis=alt.Axis(labelOverlap=False, labelLimit=0)
    )
    bars = alt.Chart(_data(rows)).mark_bar(color=FORECAST)
    marks = alt.Chart(_data([{"index": SOME_DRIFT}, {"index": MUCH_DRIFT}])).mark_rule(
        color=LIMIT, strokeDash=DASHES[LIMIT], size=2
    )
    tooltip = ["Feature:N", alt.Tooltip("index", type="quantitative", title="Stability index", format=".3f")]
    layers = alt.layer(bars.encode(x=x, y=y, tooltip=tooltip), marks.encode(x=x))
    chart = layers.properties(height=alt.Step(22), description=_drift_words(ordered))
    return cast("alt.LayerChart", chart.configure_mark(aria=False))


def _durations_words(points: Sequence[Point]) -> str:
    lines = zip(QUANTILE_NAMES, zip(*(point.durations for point in points), strict=True), strict=True)
    return " ".join(trend_words(points, f"Duration {name}", values, short) for name, values in lines)


def _drift_words(ordered: Sequence[tuple[str, float]]) -> str:
    return f"Drift by feature. {'; '.join(f'{name}: {index:.3f}' for name, index in ordered)}."


def _time(points: Sequence[Point]) -> Any:
    short_span = points[-1].at - points[0].at < _TICKS * MINUTE
    written = "%H:%M:%S" if short_span else "%H:%M"
    # milliseconds since 1970 are shown in the browser's own time zone
    return alt.X("at", type="temporal", title=None, axis=alt.Axis(tickCount=_TICKS, labelOverlap=True, format=written))


def _moment() -> Any:
    return alt.Tooltip("at", type="temporal", title="Time", format="%H:%M:%S")


def _data(rows: Sequence[dict[str, Any]]) -> Any:
    return alt.Data(values=list(rows))  # type: ignore[no-untyped-call]  # altair's generated classes have no types
