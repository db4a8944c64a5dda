"""Model performance: which model answers, how good it was, and which others there are."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from rt_predictor_client import ModelInfo
from rt_predictor_client.output import percent
from rt_predictor_formats.errors import Problem
from rt_predictor_ui import backend
from rt_predictor_ui.components.evaluation_view import compared_view, evaluation_view
from rt_predictor_ui.components.model_charts import dial_chart, score_chart
from rt_predictor_ui.components.problem_box import problem_box
from rt_predictor_ui.model_facts import (
    before_current,
    compared_rows,
    dial_rows,
    ensemble,
    score_rows,
    trained_words,
    version_rows,
)
from rt_predictor_ui.text import escape

_LOOK_SECONDS = 10
"""How often an open page looks for models [s]: a new one is seen, and a service that is back."""

_UNSEEN = "on the newest jobs of its log, which it had not seen"


def render() -> None:
    """Show the page; it looks again by itself."""
    st.title("Model performance")
    _page()


@st.fragment(run_every=_LOOK_SECONDS)
def _page() -> None:
    try:
        models = backend.models()
    except backend.Away:
        st.info("There is nothing to show until the service answers: the top of the page says what to do.")
        return
    except Problem as problem:
        problem_box(problem)
        return
    if not models:
        st.info("The service has no model yet: the top of the page says what to do.")
        return
    model = _chosen(models)
    st.markdown(escape(trained_words(model)))
    _headline(model)
    _scores(model)
    _dial(model)
    _parts(model)
    _weights(model)
    _versions(models, model)


def _chosen(models: Sequence[ModelInfo]) -> ModelInfo:
    by_version = {model.version: model for model in models}
    current = next((i for i, model in enumerate(models) if model.current), 0)
    version = st.selectbox(
        "Version",
        list(by_version),
        index=current,
        format_func=lambda name: f"{name} (answers now)" if by_version[name].current else name,
        key="version",
        bind="query-params",
    )
    return by_version.get(str(version), models[current])


def _headline(model: ModelInfo) -> None:
    score = ensemble(model)
    if score is None:
        return
    with st.container(horizontal=True):
        st.metric("Mean error", f"{score.mae_hours:.2f} h")
        st.metric("Median error", f"{score.median_ae_minutes:.1f} min")
        if score.coverage_90 is not None:
            st.metric("90 % band covers", percent(score.coverage_90))
        if score.width_90_hours is not None:
            st.metric("Width of the band", f"{score.width_90_hours:.2f} h")


def _scores(model: ModelInfo) -> None:
    st.header("Against members and baselines")
    if not model.scores:
        st.info("The service tells no scores of this model.")
        return
    st.caption(
        f"Measured {_UNSEEN}. Errors are those of the median; lower is better. *Ran longer* is the share above it."
    )
    st.altair_chart(score_chart(model), width="stretch")
    st.dataframe(score_rows(model), hide_index=True, alt="Scores by method")


def _dial(model: ModelInfo) -> None:
    st.header("Accepted risk against measured")
    if not model.dial:
        st.info("What each accepted risk led to was not measured for this model.")
        return
    st.caption(
        f"Share of jobs {_UNSEEN}, that the recommended time would have killed and their request did not. "
        "On the dashed line it is the risk that was accepted; above it, more."
    )
    st.altair_chart(dial_chart(model.dial), width="stretch")
    st.table(dial_rows(model), hide_index=True, alt="Measured by accepted risk")


def _parts(model: ModelInfo) -> None:
    try:
        evaluation_view(backend.evaluation(model.version))
    except Problem as problem:
        problem_box(problem)


def _weights(model: ModelInfo) -> None:
    st.header("Weights of the members")
    if not model.members:
        st.info("The service tells no members of this model.")
        return
    rows = [{"Member": name, "Weight": f"{weight:.2f}"} for name, weight in model.members]
    st.table(rows, hide_index=True, alt="Weights of the members")


def _versions(models: Sequence[ModelInfo], shown: ModelInfo) -> None:
    st.header("Versions")
    st.dataframe(version_rows(models), hide_index=True, alt="All versions")
    _compare(models, shown)
    older = before_current(models)
    if older is None:
        st.markdown("**Roll back**: there is no version older than the one that answers now.")
        return
    st.markdown(
        f"**Roll back**: the version before the one that answers now is {escape(older.version)}. "
        "Where the models lie, this makes it current again:"
    )
    st.code(f"rt-predictor-train --rollback {older.version} --models models", language=None, wrap_lines=True)


def _compare(models: Sequence[ModelInfo], shown: ModelInfo) -> None:
    others = {model.version: model for model in models if model.version != shown.version}
    if not others:
        return
    chosen = st.selectbox("Compare with", [None, *others], format_func=lambda name: name or "no other", key="compare")
    if chosen not in others:
        return
    st.caption(
        "Each was measured on the newest jobs of its own log: where these differ, figures of equal models may too."
    )
    st.table(compared_rows(shown, others[chosen]), hide_index=True, alt="Two versions side by side")
    try:
        compared_view(backend.evaluation(shown.version), backend.evaluation(chosen))
    except Problem as problem:
        problem_box(problem)
