"""Predict one job: a form or a job script in, a forecast out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import streamlit as st

from rt_predictor_client import Forecast
from rt_predictor_formats.errors import Problem
from rt_predictor_formats.sbatch import JobRequest
from rt_predictor_ui import backend, link
from rt_predictor_ui.components.forecast_view import basis_view, forecast_view, recommendation_view
from rt_predictor_ui.components.job_form import job_form, set_form
from rt_predictor_ui.components.problem_box import problem_box
from rt_predictor_ui.components.risk_slider import accepted_risk, risk_slider, set_risk
from rt_predictor_ui.components.script_box import script_box
from rt_predictor_ui.components.service_state import LOOK_SECONDS
from rt_predictor_ui.components.what_if_view import NOTHING, what_if_view
from rt_predictor_ui.components.why_view import why_view
from rt_predictor_ui.identity import visitor
from rt_predictor_ui.what_if import Variant, variants

_ANSWER, _WAITING, _COMPARED, _WHY, _LINK = "answer", "waiting", "compared", "explained", "link"


@dataclass(frozen=True)
class Answer:
    """A forecast with what was asked."""

    request: JobRequest
    risk: float
    forecast: Forecast


@dataclass(frozen=True)
class Waiting:
    """A request that no service answered yet; ``told`` once the page has said so."""

    request: JobRequest
    told: bool = False


def render() -> None:
    """Show the page."""
    st.title("How long will this job run?")
    st.markdown("Describe the job as you would submit it; nothing is submitted.")
    _follow_link()
    script_box()
    try:
        request = job_form(visitor())
        if request is not None:
            _forget()  # an earlier answer would be taken for this one's
            with st.spinner("Asking the service"):
                _ask(request)
    except backend.Away:
        if request is not None:
            st.session_state[_WAITING] = Waiting(request)
    except Problem as problem:
        _forget()
        problem_box(problem)
    if _WAITING in st.session_state:
        _ask_again()
    elif _ANSWER in st.session_state:
        _answer()


def _ask(request: JobRequest) -> None:
    """Ask for a forecast and put the job into the address, so that it can be shared."""
    risk = accepted_risk()
    st.session_state[_ANSWER] = Answer(request, risk, backend.forecast(request, risk))
    st.session_state[_LINK] = link.to_query(request, risk)
    st.query_params.from_dict(st.session_state[_LINK])


def _forget() -> None:
    for name in (_ANSWER, _WAITING, _COMPARED, _WHY):
        st.session_state.pop(name, None)


def _follow_link() -> None:
    """Fill the form with what the address says, once: what is typed afterwards stays."""
    query = {name: value for name, value in st.query_params.items() if name in {*link.COLUMNS, link.RISK}}
    if not query or query == st.session_state.get(_LINK):
        return
    st.session_state[_LINK] = query
    _forget()
    values, problems = link.from_query(query)
    set_form(values)
    risk = link.risk_from(query)
    if risk is not None:
        set_risk(risk)
    for problem in problems:
        problem_box(problem)


@st.fragment(run_every=LOOK_SECONDS)
def _ask_again() -> None:
    """Say that nothing was predicted, and ask again until the service answers."""
    waiting: Waiting | None = st.session_state.get(_WAITING)
    if waiting is None:
        return
    try:
        if waiting.told:
            _ask(waiting.request)
            del st.session_state[_WAITING]
            st.rerun()
    except backend.Away:
        pass  # the top of the page says what to do
    except Problem as problem:
        del st.session_state[_WAITING]
        problem_box(problem)
        return
    st.session_state[_WAITING] = replace(waiting, told=True)
    st.warning("Not predicted: the service did not answer. It is asked again by itself.", icon=":material/schedule:")


@st.fragment
def _answer() -> None:
    """Show the answer; moving the slider asks again at that risk, without the form."""
    answer: Answer = st.session_state[_ANSWER]
    place = st.container()
    risk = risk_slider()
    if risk != answer.risk:
        try:
            answer = replace(answer, risk=risk, forecast=backend.forecast(answer.request, risk))
            st.session_state[_ANSWER] = answer
        except Problem as problem:
            problem_box(problem)
            st.caption("What is shown is still the answer at the risk that it names.")
    recommendation_view(answer.forecast)
    with place:
        forecast_view(answer.forecast, answer.request)
    basis_view(answer.forecast, answer.request)
    if st.toggle("Why: what moves this forecast", key="why"):
        _why(answer)
    if st.toggle("What if: half the nodes, twice the requested time", key="what_if"):
        _what_if(answer)


def _why(answer: Answer) -> None:
    """Show what moves the median, asked once: the accepted risk does not."""
    asked = (answer.request, answer.forecast.model_version)
    try:
        if st.session_state.get(_WHY, (None,))[0] != asked:
            st.session_state[_WHY] = (asked, backend.explained(answer.request, answer.risk))
        why_view(st.session_state[_WHY][1])
    except Problem as problem:
        problem_box(problem)


def _what_if(answer: Answer) -> None:
    others = variants(answer.request)[1:]
    if not others:
        st.info(NOTHING)
        return
    asked = (answer.request, answer.risk)
    try:
        if st.session_state.get(_COMPARED, (None,))[0] != asked:
            found = backend.forecasts([variant.request for variant in others], answer.risk)
            st.session_state[_COMPARED] = (asked, found)
        first = (Variant("As requested", answer.request), answer.forecast)
        what_if_view([first, *zip(others, st.session_state[_COMPARED][1], strict=True)])
    except Problem as problem:
        problem_box(problem)
