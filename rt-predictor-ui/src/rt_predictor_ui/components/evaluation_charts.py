"""How a model did, part by part, as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

import altair as alt

from rt_predictor_client.insight import MemberImportance, PartScore
from rt_predictor_client.output import percent
from rt_predictor_ui.evaluation_facts import BASELINES, NOMINAL, baseline_errors
from rt_predictor_ui.palette import ADVICE, DASHES, FORECAST, LIMIT

MOST_FEATURES: Final = 15
"""Features that a picture of importance shows."""

_FORECAST_NAME: Final = "The forecast"
_COLOURS: Final = dict(zip((_FORECAST_NAME, *BASELINES.values()), (FORECAST, LIMIT, ADVICE), strict=True))
_SHAPES: Final = dict(zip(_COLOURS, ("circle", "square", "triangle-up"), strict=True))


def error_chart(some: Sequence[PartScore]) -> alt.Chart:
    """Return the mean error of the forecast and of the baselines for each part, as points."""
    rows = [
        {"Jobs of": part.label, "Method": name, "hours": hours, "Mean error": f"{hours:.2f} h"}
        for part in some
        for name, hours in _errors(part).items()
    ]
    names = [name for name in _COLOURS if any(row["Method"] == name for row in rows)]
    legend = alt.Legend(orient="bottom", title=None)
    colour = alt.Scale(domain=names, range=[_COLOURS[name] for name in names])
    shape = alt.Scale(domain=names, range=[_SHAPES[name] for name in names])
    chart = (
        alt.Chart(_data(rows), description=error_words(some))
        .mark_point(size=80, filled=True, opacity=1)
        .encode(
            x=alt.X("hours", type="quantitative", title="Mean error [h]", axis=alt.Axis(tickCount=5)),
            y=_parts(some),
            color=alt.Color("Method:N", scale=colour, legend=legend),
            shape=alt.Shape("Method:N", scale=shape, legend=legend),
            tooltip=["Jobs of:N", "Method:N", "Mean error:N"],
        )
    )
    return cast("alt.Chart", chart.properties(height=alt.Step(24)).configure_mark(aria=False))


def coverage_chart(some: Sequence[PartScore]) -> alt.LayerChart:
    """Return the share of jobs inside the band for each part, beside what it is made to cover."""
    rows = [{"Jobs of": part.label, "share": part.coverage_90, "Covers": percent(part.coverage_90)} for part in some]
    scale = alt.Scale(domain=[min(0.5, *(part.coverage_90 for part in some)), 1], clamp=True)
    x = alt.X(
        "share", type="quantitative", title="90 % band covers", scale=scale, axis=alt.Axis(format="%", tickCount=5)
    )
    points = alt.Chart(_data(rows)).mark_point(color=FORECAST, size=80, filled=True, opacity=1)
    rule = alt.Chart(_data([{"share": NOMINAL}])).mark_rule(color=LIMIT, strokeDash=DASHES[LIMIT], size=2)
    layers = alt.layer(points.encode(x=x, y=_parts(some), tooltip=["Jobs of:N", "Covers:N"]), rule.encode(x=x))
    chart = layers.properties(height=alt.Step(24), description=coverage_words(some))
    return cast("alt.LayerChart", chart.configure_mark(aria=False))


def reliability_chart(pairs: Sequence[tuple[float, float]]) -> alt.LayerChart:
    """Return measured against nominal levels of the quantiles, with the line on which they are equal."""
    rows = [
        {"nominal": level, "measured": measured, "Nominal": percent(level), "Measured": percent(measured)}
        for level, measured in pairs
    ]
    scale, share = alt.Scale(domain=[0, 1]), alt.Axis(format="%", tickCount=5)
    x = alt.X("nominal", type="quantitative", title="Nominal", scale=scale, axis=share)
    y = alt.Y("measured", type="quantitative", title="Measured", scale=scale, axis=share)
    ends: list[dict[str, Any]] = [{"nominal": 0, "measured": 0}, {"nominal": 1, "measured": 1}]
    equal = alt.Chart(_data(ends)).mark_line(color=LIMIT, strokeDash=DASHES[LIMIT]).encode(x=x, y=y)
    points = alt.Chart(_data(rows)).mark_line(color=FORECAST, point=alt.OverlayMarkDef(color=FORECAST, size=60))
    curve = points.encode(x=x, y=y, tooltip=["Nominal:N", "Measured:N"])
    chart = alt.layer(equal, curve).properties(height=300, description=reliability_words(pairs))
    return cast("alt.LayerChart", chart.configure_mark(aria=False))


def importance_chart(member: MemberImportance) -> alt.Chart:
    """Return what a member rests on most as bars."""
    some = member.features[:MOST_FEATURES]
    rows = [{"Feature": one.feature, "share": one.share, "Share": percent(one.share)} for one in some]
    encoded = (
        alt.Chart(_data(rows), description=importance_words(member))
        .mark_bar(color=FORECAST)
        .encode(
            x=alt.X("share", type="quantitative", title="Share of the gain", axis=alt.Axis(format="%", tickCount=5)),
            y=alt.Y(
                "Feature:N",
                sort=[one.feature for one in some],
                title=None,
                axis=alt.Axis(labelOverlap=False, labelLimit=0),
            ),
            tooltip=["Feature:N", "Share:N"],
        )
    )
    return cast("alt.Chart", encoded.properties(height=alt.Step(22)).configure_mark(aria=False))


def error_words(some: Sequence[PartScore]) -> str:
    """Return what the chart of errors shows, for those who cannot see it."""
    told = "; ".join(
        f"{part.label}: {', '.join(f'{name.lower()} {hours:.2f} h' for name, hours in _errors(part).items())}"
        for part in some
    )
    return f"Mean error by part. {told}."


def coverage_words(some: Sequence[PartScore]) -> str:
    """Return what the chart of coverage shows, for those who cannot see it."""
    return (
        f"Share of jobs inside the 90 % band. {'; '.join(f'{one.label}: {percent(one.coverage_90)}' for one in some)}."
    )


def reliability_words(pairs: Sequence[tuple[float, float]]) -> str:
    """Return what the chart of reliability shows, for those who cannot see it."""
    return f"Quantiles, nominal and measured. {'; '.join(f'{percent(one)}: {percent(other)}' for one, other in pairs)}."


def importance_words(member: MemberImportance) -> str:
    """Return what the chart of importance shows, for those who cannot see it."""
    told = "; ".join(f"{one.feature}: {percent(one.share)}" for one in member.features[:MOST_FEATURES])
    return f"What {member.name} rests on. {told}."


def _errors(part: PartScore) -> dict[str, float]:
    return {_FORECAST_NAME: part.mae_hours, **baseline_errors(part)}


def _parts(some: Sequence[PartScore]) -> Any:
    return alt.Y(
        "Jobs of:N", sort=[one.label for one in some], title=None, axis=alt.Axis(labelOverlap=False, grid=True)
    )


def _data(rows: Sequence[dict[str, Any]]) -> Any:
    return alt.Data(values=list(rows))  # type: ignore[no-untyped-call]  # altair's generated classes have no types
