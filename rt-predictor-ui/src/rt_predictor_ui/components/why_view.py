"""Why a forecast is what it is: what each group of facts moves its median by."""

from __future__ import annotations

from typing import Any, Final, cast

import altair as alt
import streamlit as st

from rt_predictor_client import Forecast
from rt_predictor_client.insight import Explanation
from rt_predictor_client.output import explanation_rows, group_words, unexplained_words
from rt_predictor_formats.times import MINUTE
from rt_predictor_ui.palette import FORECAST, LIMIT
from rt_predictor_ui.text import escape, spoken_duration

_NAMES: Final = {
    "wallclock": "requested time",
    "size": "size of the job",
    "time": "hour and day",
    "place": "partition, account",
    "user": "user's jobs",
    "name": "jobs of this name",
    "alike": "jobs like this one",
    "machine": "the whole site",
}
"""What the picture calls each group of facts: a telephone has room for no more."""

_NO_MORE_THAN: Final = 0.05 * MINUTE
"""What is shown as no minute at all [s]."""


def why_view(forecast: Forecast) -> None:
    """Show a forecast's explanation, or why there is none."""
    told = forecast.explanation
    if told is None:
        st.info("The service does not explain its forecasts: it is of an earlier release.")
        return
    if told.unexplained is not None or not told.contributions:
        st.info(escape(f"Not explained: {unexplained_words(told.unexplained or 'nothing is told')}."))
        return
    st.caption(escape(why_words(forecast, told)))
    st.altair_chart(why_chart(told), width="stretch")
    rows = [{"What": what, "Minutes": minutes} for what, minutes in explanation_rows(forecast.median_seconds, told)]
    st.table(rows, hide_index=True, alt="What moves the forecast, in minutes")


def why_words(forecast: Forecast, told: Explanation) -> str:
    """Return what the explanation begins and ends with."""
    return (
        f"A typical job takes {spoken_duration(told.baseline_seconds)}. What is known of this one moves that to "
        f"{spoken_duration(forecast.median_seconds)}: each part is shared out fairly among what acts together."
    )


def why_chart(told: Explanation) -> alt.Chart:
    """Return contributions as bars, longer to the right and shorter to the left."""
    rows = [
        {
            "What": _NAMES.get(group, group),
            "Meaning": group_words(group),
            "minutes": seconds / MINUTE,
            "Makes it": _direction(seconds),
            "Minutes": f"{seconds / MINUTE:+.1f}",
        }
        for group, seconds in told.contributions
    ]
    data: Any = alt.Data(values=rows)  # type: ignore[no-untyped-call]  # altair's generated classes have no types
    kinds = ["longer", "shorter"]
    chart = alt.Chart(data, description=chart_words(told)).mark_bar()
    encoded = chart.encode(
        x=alt.X("minutes", type="quantitative", title="Minutes", axis=alt.Axis(tickCount=6)),
        y=alt.Y(
            "What:N",
            sort=[_NAMES.get(group, group) for group, _ in told.contributions],
            title=None,
            axis=alt.Axis(labelOverlap=False),
        ),
        color=alt.Color(
            "Makes it:N",
            scale=alt.Scale(domain=kinds, range=[LIMIT, FORECAST]),
            legend=alt.Legend(orient="bottom", title=None),
        ),
        tooltip=["Meaning:N", "Makes it:N", "Minutes:N"],
    )
    return cast("alt.Chart", encoded.properties(height=alt.Step(26)).configure_mark(aria=False))


def chart_words(told: Explanation) -> str:
    """Return what the chart shows, for those who cannot see it."""
    parts = (f"{group_words(group)}: {seconds / MINUTE:+.1f}" for group, seconds in told.contributions)
    return f"What moves the forecast, in minutes. {'; '.join(parts)}."


def _direction(seconds: float) -> str:
    return "longer" if seconds > _NO_MORE_THAN else "shorter" if seconds < -_NO_MORE_THAN else "neither"
