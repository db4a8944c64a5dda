"""The answer: words first, then the picture, then what it rests on."""

from __future__ import annotations

import streamlit as st

from rt_predictor_client import Forecast
from rt_predictor_client.output import percent
from rt_predictor_formats.sbatch import JobRequest
from rt_predictor_formats.times import format_duration, human_duration
from rt_predictor_ui import text
from rt_predictor_ui.components.forecast_chart import INNER, forecast_chart, inner_band


def forecast_view(forecast: Forecast, request: JobRequest) -> None:
    """Show what a forecast of a request says of the run time."""
    st.subheader(text.median_words(forecast))
    st.caption(f"The median run time of {text.escape(text.request_words(request))}.")
    st.altair_chart(forecast_chart(forecast, request.wallclock_req), width="stretch")
    st.markdown(_legend(forecast, request))
    st.markdown(f"**{text.escape(text.exceed_words(forecast, request))}**")
    with st.expander("The curve as a table"):
        st.table(_rows(forecast), hide_index=True, alt="Chance to run longer than a time")


def recommendation_view(forecast: Forecast) -> None:
    """Show the wallclock to request at the forecast's risk."""
    st.markdown(f"**Recommended request** at a risk of {text.escape(percent(forecast.risk))} to be killed at it:")
    st.code(f"#SBATCH --time={format_duration(forecast.recommended_seconds)}", language=None)


def basis_view(forecast: Forecast, request: JobRequest) -> None:
    """Show which history and which model a forecast rests on."""
    if forecast.tier == "none":
        st.info(text.escape(text.cold_start_words(request)), icon=":material/ac_unit:")
    else:
        st.markdown(text.escape(text.basis_words(forecast)))
    if forecast.degraded is not None:
        st.warning(text.escape(text.degraded_sentence(forecast.degraded)), icon=":material/warning:")
    st.caption(f"Model {text.escape(forecast.model_version)}")


def _legend(forecast: Forecast, request: JobRequest) -> str:
    """Return the same as the chart, in words: colour alone tells nobody enough."""
    inner = inner_band(forecast)
    lines = []
    if inner is not None:
        lines.append(f"{text.band_words(*inner, INNER[1] - INNER[0])} (dark band)")
    wide = text.band_words(forecast.lower_seconds, forecast.upper_seconds, forecast.nominal_coverage)
    lines.append(f"{wide} (light band)")
    if request.wallclock_req is not None:
        lines.append(f"Requested: {human_duration(request.wallclock_req)} (dashed line)")
    return "\n".join(f"- {text.escape(line)}" for line in lines)


def _rows(forecast: Forecast) -> list[dict[str, str]]:
    return [
        {"Run time": text.spoken_duration(seconds), "Chance to run longer": percent(1 - level)}
        for level, seconds in forecast.quantiles
    ]
