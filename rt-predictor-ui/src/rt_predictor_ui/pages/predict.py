"""Predict one job: a form or a pasted script in, a forecast out."""

from __future__ import annotations

import streamlit as st

from rt_predictor_formats.errors import Problem
from rt_predictor_ui import backend, link
from rt_predictor_ui.components.forecast_view import forecast_view
from rt_predictor_ui.components.job_form import RISK, fill_form, job_form, set_form
from rt_predictor_ui.components.problem_box import problem_box
from rt_predictor_ui.text import escape, request_words

_ANSWER, _NOTE, _SCRIPT, _LINK = "answer", "script_note", "script", "link"


def render() -> None:
    """Show the page."""
    st.title("How long will this job run?")
    st.markdown("Describe the job as you would submit it; nothing is submitted.")
    _follow_link()
    _script()
    try:
        sent = job_form()
        if sent is not None:
            st.session_state.pop(_ANSWER, None)  # an earlier answer would be taken for this one's
            with st.spinner("Asking the service"):
                st.session_state[_ANSWER] = (backend.forecast(*sent), sent[0])
            _show_link(link.to_query(*sent))
    except Problem as problem:
        st.session_state.pop(_ANSWER, None)
        _not_predicted(problem)
    if _ANSWER in st.session_state:
        forecast_view(*st.session_state[_ANSWER])


def _follow_link() -> None:
    """Fill the form with what the address says, once: what is typed afterwards stays."""
    query = {name: value for name, value in st.query_params.items() if name in {*link.COLUMNS, link.RISK}}
    if not query or query == st.session_state.get(_LINK):
        return
    st.session_state[_LINK] = query
    st.session_state.pop(_ANSWER, None)
    values, problems = link.from_query(query)
    set_form(values)
    risk = link.risk_from(query)
    if risk is not None:
        st.session_state[RISK] = round(100 * risk)
    for problem in problems:
        problem_box(problem)


def _show_link(query: dict[str, str]) -> None:
    """Put the job into the address, so that it can be shared."""
    st.session_state[_LINK] = query
    st.query_params.from_dict(query)


def _not_predicted(problem: Problem) -> None:
    """Show why there is no forecast; that the service is away stands at the top, and goes when it is back."""
    if problem.code == backend.AWAY:
        st.warning("Not predicted: the service did not answer. Press Predict again when the top says that it answers.")
    else:
        problem_box(problem)


def _script() -> None:
    with st.expander("Paste a job script", icon=":material/description:"):
        placeholder = "#!/bin/bash\n#SBATCH --time=1-00:00:00\n#SBATCH --nodes=2"
        st.text_area("Job script", key=_SCRIPT, height=160, placeholder=placeholder)
        st.button("Fill the form", on_click=_fill)
        note = st.session_state.pop(_NOTE, None)
        if isinstance(note, Problem):
            problem_box(note)
        elif note is not None:
            st.success(f"The form now asks for {escape(str(note))}.")


def _fill() -> None:
    """Fill the form; runs before the page is drawn again."""
    try:
        st.session_state[_NOTE] = request_words(fill_form(str(st.session_state.get(_SCRIPT) or "")))
        st.session_state.pop(_ANSWER, None)
    except Problem as problem:
        st.session_state[_NOTE] = problem
