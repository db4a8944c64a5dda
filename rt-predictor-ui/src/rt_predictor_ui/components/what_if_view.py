"""Forecasts of other requests for the same job, side by side."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from rt_predictor_client import Forecast
from rt_predictor_client.output import percent
from rt_predictor_formats.times import format_duration
from rt_predictor_ui.text import escape, resource_words, spoken_duration
from rt_predictor_ui.what_if import Variant

NOTHING = "Give a requested time, or more than one node, and there is something to compare with."
"""Said where a request has no variants."""

_CAUTION = (
    "Each forecast tells how long jobs with that request ran. Whether this job gets slower on fewer nodes, the model "
    "cannot know."
)


def what_if_view(shown: Sequence[tuple[Variant, Forecast]]) -> None:
    """Show the forecasts of variants, the first being what was asked for."""
    for column, (variant, forecast) in zip(st.columns(len(shown), border=True), shown, strict=True):
        with column:
            st.markdown(f"**{variant.name}**")
            st.caption(escape(resource_words(variant.request)))
            st.markdown("\n".join(f"- {label}: {escape(text)}" for label, text in rows_of(forecast)))
    st.caption(_CAUTION)


def rows_of(forecast: Forecast) -> list[tuple[str, str]]:
    """Return what is compared as pairs of label and text."""
    chance = forecast.probability_exceeds_request
    return [
        ("Median", spoken_duration(forecast.median_seconds)),
        (
            f"{percent(forecast.nominal_coverage)} band",
            f"{spoken_duration(forecast.lower_seconds)} to {spoken_duration(forecast.upper_seconds)}",
        ),
        ("Killed at the limit", "no limit" if chance is None else percent(chance)),
        ("Recommended", format_duration(forecast.recommended_seconds)),
    ]
