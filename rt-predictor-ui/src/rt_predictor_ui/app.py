"""The pages and the way between them."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from rt_predictor_ui.pages import predict

ICON = Path(__file__).with_name("icon.svg")
"""The browser tab's picture; an icon by name would be fetched from another machine."""


def main() -> None:
    """Show the page that the address names."""
    st.set_page_config(page_title="rt-predictor", page_icon=str(ICON), layout="centered")
    pages = [st.Page(predict.render, title="Predict a job", url_path="predict", default=True)]
    st.navigation(pages).run()
