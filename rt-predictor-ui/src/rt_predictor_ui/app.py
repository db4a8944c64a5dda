"""The pages and the way between them."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from rt_predictor_formats.errors import Problem
from rt_predictor_ui.components.problem_box import problem_box
from rt_predictor_ui.components.service_state import service_state
from rt_predictor_ui.identity import visitor
from rt_predictor_ui.pages import analytics, batch, history, model, predict

ICON = Path(__file__).with_name("icon.svg")
"""The browser tab's picture; an icon by name, here or of a page, would be fetched from another machine."""

NAME = "rt-predictor"

_LEGIBLE = "<style>[data-testid='stSliderThumbValue'] {color: inherit}</style>"
"""Streamlit writes the number at a slider in the colour of its buttons, which no colour can serve in dark mode: white
text stands on it there, and it on a dark page."""


def main() -> None:
    """Show the page that the address names, below the state of the service."""
    pages = [
        st.Page(predict.render, title="Predict", url_path="predict", default=True),
        st.Page(batch.render, title="Batch", url_path="batch"),
        st.Page(model.render, title="Model performance", url_path="model"),
        st.Page(history.render, title="History", url_path="history"),
        st.Page(analytics.render, title="Analytics", url_path="analytics"),
    ]
    chosen = st.navigation(pages, position="top")
    st.set_page_config(page_title=f"{chosen.title} - {NAME}", page_icon=str(ICON), layout="centered")
    st.html(_LEGIBLE)
    try:
        visitor()
    except Problem as problem:
        problem_box(problem)
        return
    service_state()
    chosen.run()
