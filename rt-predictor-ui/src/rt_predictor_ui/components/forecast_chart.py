"""The forecast as a picture: two bands, the median and the requested time on one axis."""

from __future__ import annotations

from typing import Any, cast

import altair as alt

from rt_predictor_client import Forecast
from rt_predictor_formats.times import DAY, HOUR, MINUTE
from rt_predictor_ui.text import band_words, spoken_duration

INNER = (0.25, 0.75)
"""Levels of the inner band."""

_INNER_SHARE = INNER[1] - INNER[0]
_COLOURS = {"wide": "#a6cee3", "inner": "#1f78b4", "median": "#0b2e4f", "request": "#d95f02"}  # safe for colour-blind
_HEIGHT = 150


def forecast_chart(forecast: Forecast, request_seconds: float | None) -> alt.LayerChart:
    """Return the chart; without ``request_seconds`` [s] it has no line for the request."""
    seconds, unit = _unit(max(forecast.upper_seconds, request_seconds or 0.0))
    layers = [
        _band("wide", forecast.lower_seconds / seconds, forecast.upper_seconds / seconds, unit, 44),
        _line("median", forecast.median_seconds / seconds, unit, []),
    ]
    inner = inner_band(forecast)
    if inner is not None:
        layers.insert(1, _band("inner", inner[0] / seconds, inner[1] / seconds, unit, 26))
    if request_seconds is not None:
        layers.append(_line("request", request_seconds / seconds, unit, [5, 4]))
    chart = alt.layer(*layers).properties(height=_HEIGHT, description=chart_words(forecast, request_seconds))
    return cast("alt.LayerChart", chart.configure_view(stroke=None))


def chart_words(forecast: Forecast, request_seconds: float | None) -> str:
    """Return what the chart shows, for those who cannot see it."""
    inner = inner_band(forecast)
    parts = [f"Run time: median {spoken_duration(forecast.median_seconds)}"]
    if inner is not None:
        parts.append(band_words(*inner, _INNER_SHARE))
    parts.append(band_words(forecast.lower_seconds, forecast.upper_seconds, forecast.nominal_coverage))
    asked = "no time requested" if request_seconds is None else f"requested {spoken_duration(request_seconds)}"
    return "; ".join([*parts, asked]) + "."


def inner_band(forecast: Forecast) -> tuple[float, float] | None:
    """Return the inner band [s]; None if the forecast's quantiles do not reach it."""
    try:
        low, high = (forecast.quantile(level) for level in INNER)
    except ValueError:
        return None
    return low, high


def _unit(longest: float) -> tuple[int, str]:
    """Return the seconds of the axis' unit and its name."""
    units = ((2 * DAY, DAY, "days"), (2 * HOUR, HOUR, "hours"), (2 * MINUTE, MINUTE, "minutes"))
    return next(((size, name) for least, size, name in units if longest >= least), (1, "seconds"))


def _axis(name: str, unit: str) -> Any:
    axis = alt.Axis(tickCount=5, labelFlush=True, grid=False)
    return alt.X(name, type="quantitative", title=f"Run time [{unit}]", axis=axis, scale=alt.Scale(zero=True))


def _band(kind: str, low: float, high: float, unit: str, size: int) -> Any:
    mark = alt.Chart(_row(low=low, high=high)).mark_bar(size=size, color=_COLOURS[kind], cornerRadius=3)
    # one row without an axis: the bands lie in its middle, whatever height is left for it
    return mark.encode(x=_axis("low", unit), x2="high:Q", y=alt.Y("row:N", axis=None))


def _line(kind: str, position: float, unit: str, dash: list[int]) -> Any:
    mark = alt.Chart(_row(at=position)).mark_rule(color=_COLOURS[kind], size=3, strokeDash=dash)
    return mark.encode(x=_axis("at", unit))


def _row(**values: float) -> Any:
    return alt.Data(values=[{**values, "row": 0}])  # type: ignore[no-untyped-call]  # altair's generated classes have no types
