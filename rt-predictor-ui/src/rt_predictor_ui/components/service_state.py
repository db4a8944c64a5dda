"""The line at the top of every page: which model answers, or what to do so that one does."""

from __future__ import annotations

import streamlit as st

from rt_predictor_formats.errors import Problem
from rt_predictor_ui import backend
from rt_predictor_ui.components.problem_box import problem_box
from rt_predictor_ui.text import escape

LOOK_SECONDS = 5
"""How often an open page asks whether the service is there [s]: so it recovers without being touched."""


@st.fragment(run_every=LOOK_SECONDS, parallel=True)
def service_state() -> None:
    """Show the state of the service; a service that is slow to tell holds nothing else up."""
    try:
        model = backend.current_model()
    except Problem as problem:
        problem_box(problem)
    else:
        version = f" Version {escape(model.version)}." if model.version else ""
        st.caption(f":material/check_circle: The service answers with a model of {model.jobs:,} jobs.{version}")
