"""Analytics: what the service does now, and how good its forecasts turn out to be."""

from __future__ import annotations

from time import time

import streamlit as st

from rt_predictor_client import ModelInfo
from rt_predictor_client.output import percent
from rt_predictor_formats.errors import Problem
from rt_predictor_ui import backend
from rt_predictor_ui.analytics import facts, source
from rt_predictor_ui.analytics.facts import told
from rt_predictor_ui.analytics.figures import Figures, Look
from rt_predictor_ui.components.analytics_charts import calls_chart, drift_chart, durations_chart
from rt_predictor_ui.components.problem_box import problem_box
from rt_predictor_ui.model_facts import ensemble
from rt_predictor_ui.text import escape

LOOK_SECONDS = 5
"""How often an open page looks [s]."""


def render() -> None:
    """Show the page."""
    st.title("Analytics")
    alone = st.toggle("Refresh by itself", value=True, key="refresh", help=f"Looks anew every {LOOK_SECONDS} s.")
    st.fragment(_page, run_every=LOOK_SECONDS if alone else None)()


def _page() -> None:
    try:
        look, problems = source.look()
    except Problem as problem:
        problem_box(problem)
        return
    for untold in problems:
        problem_box(untold)
    if look is None:
        st.info("There are no figures until one of the places that tell them answers.")
        return
    st.caption(escape(facts.source_words(look)))
    _service(look)
    _state(look.figures)
    _live(look.figures)
    _drift(look.figures)


def _service(look: Look) -> None:
    st.header("Calls")
    figures = look.figures
    with st.container(horizontal=True):
        st.metric("Calls", told(figures.calls_per_second, facts.rate))
        st.metric("Failed", told(figures.failed_share, percent))
        for name, seconds in zip(facts.QUANTILE_NAMES, figures.one_job, strict=True):
            st.metric(f"One job, {name}", told(seconds, facts.short))
        st.metric("Cache hits", told(figures.cache_hits, percent))
    if any(point.calls_per_second is not None for point in look.trend):
        st.altair_chart(calls_chart(look.trend), width="stretch")
    if any(seconds is not None for point in look.trend for seconds in point.durations):
        st.altair_chart(durations_chart(look.trend), width="stretch")
    rows = facts.method_rows(figures)
    if rows:
        st.table(rows, hide_index=True, alt="Rate and duration of calls by method")


def _state(figures: Figures) -> None:
    st.header("State")
    now = time()
    ready = {True: "yes", False: "no", None: facts.NOT_TOLD}[figures.ready]
    rows = {
        "Takes calls": ready,
        "Workers": told(figures.workers, "{:.0f}".format),
        "Refused calls": told(figures.refused_per_second, facts.rate),
        "Newest reports": facts.history_words(figures),
        "Breaker of these pages": _breaker(),
        "Model": " ".join(part for part in (figures.version, figures.profile) if part) or facts.NOT_TOLD,
        "Age of the model": facts.age(figures.created_time, now),
        "Age of its newest job": facts.age(figures.last_submit_time, now),
    }
    st.table(
        [{"What": what, "Now": value} for what, value in rows.items()], hide_index=True, alt="State of the service"
    )


def _breaker() -> str:
    try:
        return backend.breaker_state()
    except Problem:
        return facts.NOT_TOLD  # the top of the page says why


def _live(figures: Figures) -> None:
    st.header("Forecasts against ended jobs")
    if not figures.compared:
        since = f" {figures.since}" if figures.since else ""
        st.info(f"No job that ended was reported{since}, so there is nothing to compare with.")
        return
    ended = told(figures.ended, "{:,.0f}".format)
    st.caption(f"{ended} ends reported {figures.since}, {figures.compared:,.0f} of them compared with a forecast.")
    model = _model()
    score = None if model is None else ensemble(model)
    st.table(facts.live_rows(figures, score), hide_index=True, alt="Live scores beside those of training")


def _model() -> ModelInfo | None:
    try:
        return backend.current_model()
    except Problem:
        return None  # the top of the page says why


def _drift(figures: Figures) -> None:
    st.header("Drift of what jobs ask for")
    if not figures.drift:
        st.info("No drift is told: the service tells none, or was not asked about enough jobs yet.")
        return
    st.caption(
        f"How far the jobs asked about of late are from those of training, by the features that moved most. From "
        f"{facts.SOME_DRIFT} on a feature has moved somewhat, from {facts.MUCH_DRIFT} on far."
    )
    st.altair_chart(drift_chart(figures.drift), width="stretch")
    with st.expander(f"All {len(figures.drift)} features"):
        st.dataframe(facts.drift_rows(figures.drift), hide_index=True, alt="Drift by feature")
