"""The risk that a person accepts to be killed at the recommended time."""

from __future__ import annotations

from typing import Final

import streamlit as st

from rt_predictor_ui.link import LEAST_RISK, MOST_RISK

DEFAULT_PERCENT: Final = 10
"""Risk that the pages begin with [percent]."""

_KEY: Final = "risk"
_LABEL: Final = "Accepted risk that the recommended time is too short"
_HELP: Final = "Higher means a shorter recommended time, and more jobs that are killed at it."


def risk_slider() -> float:
    """Show the slider; return the accepted risk as a share."""
    st.session_state.setdefault(_KEY, DEFAULT_PERCENT)
    least, most = round(100 * LEAST_RISK), round(100 * MOST_RISK)
    percent = st.slider(_LABEL, least, most, key=_KEY, format="%d %%", help=_HELP, persist_state="session")
    return int(percent) / 100


def accepted_risk() -> float:
    """Return the accepted risk as a share, whether the slider is shown or not."""
    return int(st.session_state.get(_KEY, DEFAULT_PERCENT)) / 100


def set_risk(risk: float) -> None:
    """Move the slider to a share; to be called before it is shown."""
    st.session_state[_KEY] = round(100 * risk)
