"""The forecast as a picture: the chance to run longer than any time, with bands, median, request and advice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

import altair as alt

from rt_predictor_client import Forecast
from rt_predictor_client.output import percent
from rt_predictor_ui.components.time_axis import clipped, time_axis
from rt_predictor_ui.palette import ADVICE, DASHES, FORECAST, LIMIT
from rt_predictor_ui.text import band_words, spoken_duration

INNER: Final = (0.25, 0.75)
"""Levels of the inner band."""

_INNER_SHARE: Final = INNER[1] - INNER[0]
_HEIGHT: Final = 340
_MARKS: Final = {"median": FORECAST, "recommended": ADVICE, "requested": LIMIT}


def forecast_chart(forecast: Forecast, request_seconds: float | None) -> alt.LayerChart:
    """Return the chart; without ``request_seconds`` [s] it has no line for the request."""
    marks = _marks(forecast, request_seconds)
    times = [seconds for _, seconds in forecast.quantiles]
    span = [forecast.lower_seconds, forecast.upper_seconds, *times, *marks.values()]

    def axis(field: str) -> Any:
        return time_axis(field, "Run time", span)

    layers = [_band(axis, forecast.lower_seconds, forecast.upper_seconds, 0.16), _curve(axis, forecast)]
    inner = inner_band(forecast)
    if inner is not None:
        layers.insert(1, _band(axis, *inner, 0.3))
    layers.append(_lines(axis, marks))
    chart = alt.layer(*layers).properties(height=_HEIGHT, description=chart_words(forecast, request_seconds))
    return cast("alt.LayerChart", chart.configure_view(stroke=None).configure_mark(aria=False))


def chart_words(forecast: Forecast, request_seconds: float | None) -> str:
    """Return what the chart shows, for those who cannot see it."""
    inner = inner_band(forecast)
    parts = [f"Run time: median {spoken_duration(forecast.median_seconds)}"]
    if inner is not None:
        parts.append(band_words(*inner, _INNER_SHARE))
    parts.append(band_words(forecast.lower_seconds, forecast.upper_seconds, forecast.nominal_coverage))
    parts.append(f"recommended {spoken_duration(forecast.recommended_seconds)}")
    asked = "no time requested" if request_seconds is None else f"requested {spoken_duration(request_seconds)}"
    return "; ".join([*parts, asked]) + "."


def inner_band(forecast: Forecast) -> tuple[float, float] | None:
    """Return the inner band [s]; None if the forecast's quantiles do not reach it."""
    try:
        low, high = (forecast.quantile(level) for level in INNER)
    except ValueError:
        return None
    return low, high


def _marks(forecast: Forecast, request_seconds: float | None) -> dict[str, float]:
    marks = {"median": forecast.median_seconds, "recommended": float(forecast.recommended_seconds)}
    return marks if request_seconds is None else {**marks, "requested": request_seconds}


def _band(axis: Any, low: float, high: float, opacity: float) -> Any:
    mark = alt.Chart(_data([{"low": clipped(low), "high": clipped(high)}])).mark_rect(color=FORECAST, opacity=opacity)
    return mark.encode(x=axis("low"), x2="high:Q")


def _curve(axis: Any, forecast: Forecast) -> Any:
    """Draw the forecast's own quantiles and straight lines between them, as ``Forecast.quantile`` reads them."""
    rows = [
        {
            "seconds": clipped(seconds),
            "longer": 1 - level,
            "Run time": spoken_duration(seconds),
            "Chance to run longer": percent(1 - level),
        }
        for level, seconds in forecast.quantiles
    ]
    mark = alt.Chart(_data(rows)).mark_line(color=FORECAST, strokeWidth=2.5, point=alt.OverlayMarkDef(color=FORECAST))
    share = alt.Axis(format="%", tickCount=5)
    scale = alt.Scale(domain=[0, 1])
    return mark.encode(
        x=axis("seconds"),
        y=alt.Y("longer", type="quantitative", title="Chance to run longer", axis=share, scale=scale),
        order=alt.Order("longer", type="quantitative", sort="descending"),
        tooltip=["Run time:N", "Chance to run longer:N"],
    )


def _lines(axis: Any, marks: dict[str, float]) -> Any:
    rows = [{"at": clipped(at), "line": name, "Run time": spoken_duration(at)} for name, at in marks.items()]
    names = [name for name in _MARKS if name in marks]
    colours = [_MARKS[name] for name in names]
    legend = alt.Legend(orient="bottom", title=None, symbolSize=250, symbolStrokeWidth=3, columns=2)
    dashes = [DASHES[colour] or [1, 0] for colour in colours]
    return (
        alt.Chart(_data(rows))
        .mark_rule(size=2.5)
        .encode(
            x=axis("at"),
            color=alt.Color("line:N", scale=alt.Scale(domain=names, range=colours), legend=legend),
            strokeDash=alt.StrokeDash("line:N", scale=alt.Scale(domain=names, range=dashes), legend=legend),
            tooltip=["line:N", "Run time:N"],
        )
    )


def _data(rows: Sequence[dict[str, Any]]) -> Any:
    return alt.Data(values=list(rows))  # type: ignore[no-untyped-call]  # altair's generated classes have no types
