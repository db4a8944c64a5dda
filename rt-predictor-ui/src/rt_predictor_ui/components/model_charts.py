"""A model's scores and its dial as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import altair as alt

from rt_predictor_client import DialMeasure, ModelInfo
from rt_predictor_client.output import percent
from rt_predictor_ui.model_facts import ENSEMBLE, kind
from rt_predictor_ui.palette import DASHES, FORECAST, LIMIT, OTHER


def score_chart(model: ModelInfo) -> alt.Chart:
    """Return the mean error of each method as a bar; the forecast's own stands out."""
    rows = [
        {
            "Method": score.name,
            "mean_error": score.mae_hours,
            "Kind": kind(model, score.name),
            "own": score.name == ENSEMBLE,
        }
        for score in model.scores
    ]
    chart = alt.Chart(_data(rows), description=score_words(model)).mark_bar()
    encoded = chart.encode(
        x=alt.X("mean_error:Q", title="Mean error [h]"),
        y=alt.Y("Method:N", sort=[score.name for score in model.scores], title=None, axis=alt.Axis(labelOverlap=False)),
        color=alt.condition("datum.own", alt.value(FORECAST), alt.value(OTHER)),
        tooltip=["Method:N", "Kind:N", alt.Tooltip("mean_error:Q", title="Mean error [h]", format=".2f")],
    )
    return cast("alt.Chart", encoded.properties(height=alt.Step(24)).configure_mark(aria=False))


def score_words(model: ModelInfo) -> str:
    """Return what the chart of scores shows, for those who cannot see it."""
    return f"Mean error by method. {'; '.join(f'{score.name}: {score.mae_hours:.2f} h' for score in model.scores)}."


def dial_chart(dial: Sequence[DialMeasure]) -> alt.LayerChart:
    """Return measured against accepted risk, with the line on which they are equal."""
    rows = [
        {
            "accepted": one.risk,
            "measured": one.measured_rate,
            "Accepted risk": percent(one.risk),
            "Killed, measured": percent(one.measured_rate),
        }
        for one in dial
    ]
    most = max(max(one.risk, one.measured_rate) for one in dial)
    scale, share = alt.Scale(domain=[0, most]), alt.Axis(format="%", tickCount=5)
    x = alt.X("accepted", type="quantitative", title="Accepted risk", scale=scale, axis=share)
    y = alt.Y("measured", type="quantitative", title="Killed, measured", scale=scale, axis=share)
    ends: list[dict[str, Any]] = [{"accepted": 0, "measured": 0}, {"accepted": most, "measured": most}]
    equal = alt.Chart(_data(ends)).mark_line(color=LIMIT, strokeDash=DASHES[LIMIT]).encode(x=x, y=y)
    points = alt.Chart(_data(rows)).mark_line(color=FORECAST, point=alt.OverlayMarkDef(color=FORECAST, size=60))
    curve = points.encode(x=x, y=y, tooltip=["Accepted risk:N", "Killed, measured:N"])
    chart = alt.layer(equal, curve).properties(height=300, description=dial_words(dial))
    return cast("alt.LayerChart", chart.configure_mark(aria=False))


def dial_words(dial: Sequence[DialMeasure]) -> str:
    """Return what the chart of the dial shows, for those who cannot see it."""
    return f"Accepted risk and what it led to. {'; '.join(_pair(one) for one in dial)}."


def _pair(one: DialMeasure) -> str:
    return f"{percent(one.risk)}: {percent(one.measured_rate)}"


def _data(rows: Sequence[dict[str, Any]]) -> Any:
    return alt.Data(values=list(rows))  # type: ignore[no-untyped-call]  # altair's generated classes have no types
