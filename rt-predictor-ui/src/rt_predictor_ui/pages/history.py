"""History: a user's or an account's jobs, what they requested, took, and were forecast to take."""

from __future__ import annotations

import streamlit as st

from rt_predictor_client import Outdated
from rt_predictor_client.listing import JobPage
from rt_predictor_formats.errors import Problem
from rt_predictor_ui import backend
from rt_predictor_ui.components.history_chart import history_chart
from rt_predictor_ui.components.problem_box import problem_box
from rt_predictor_ui.history_facts import followed, job_rows, share
from rt_predictor_ui.identity import visitor
from rt_predictor_ui.text import escape

PAGE_JOBS = 50
"""Jobs of a page."""

_LOOK_SECONDS = 10
"""How often an open page looks for jobs [s]: new ones are seen, and a service that is back."""

_USER, _ACCOUNT, _TOKENS = "history_user", "history_account", "history_tokens"
_HASH_HELP = "The site tells names as hashes: give one that the list shows."


def render() -> None:
    """Show the page; it looks again by itself."""
    st.title("History")
    st.markdown("Jobs that were reported to the service, the one submitted last first.")
    _page()


@st.fragment(run_every=_LOOK_SECONDS)
def _page() -> None:
    try:
        privacy = backend.jobs("", "", 1, "").privacy
        user, account = _whose(privacy, visitor())
        tokens = _tokens(user, account)
        found = backend.jobs(user, account, PAGE_JOBS, tokens[-1])
    except backend.Away:
        st.info("There is nothing to show until the service answers: the top of the page says what to do.")
        return
    except Outdated:
        st.info("The service lists no jobs: it is of an earlier release.")
        return
    except Problem as problem:
        problem_box(problem)
        return
    _jobs(found)
    _turn(found, tokens)


def _whose(privacy: str, name: str | None) -> tuple[str, str]:
    """Return the user and the account that are asked for; whom a proxy names, sees names of nobody else."""
    if privacy == "hide":
        st.caption("The site tells no names, so that nobody's jobs can be asked for.")
        return "", ""
    help_text = _HASH_HELP if privacy == "hash" else None
    first, second = st.columns(2)
    own = name if privacy == "show" else None
    with first:
        if own is None:
            user = st.text_input("User", key=_USER, help=help_text, persist_state="session")
        else:
            user = own
            st.markdown(f"Your jobs, **{escape(own)}**")
    with second:
        account = st.text_input("Account", key=_ACCOUNT, help=help_text, persist_state="session")
    return str(user or "").strip(), str(account or "").strip()


def _tokens(user: str, account: str) -> list[str]:
    """Return where the pages up to the one that is shown begin; the first one's beginning is empty."""
    kept = st.session_state.get(_TOKENS)
    if kept is None or kept[0] != (user, account):
        kept = ((user, account), [""])
        st.session_state[_TOKENS] = kept
    tokens: list[str] = kept[1]
    return tokens


def _jobs(found: JobPage) -> None:
    if not found.jobs:
        st.info("No such jobs were reported.")
        return
    told = followed(found.jobs)
    with st.container(horizontal=True):
        st.metric("Jobs on this page", f"{len(found.jobs)}")
        st.metric("Mean error", "-" if told.mean_error_hours is None else f"{told.mean_error_hours:.2f} h")
        st.metric("Ended in the band", share(told.inside))
        st.metric("Used of the requested time", share(told.used))
    chart = history_chart(found.jobs)
    if chart is not None:
        st.altair_chart(chart, width="stretch")
    st.dataframe(job_rows(found.jobs), hide_index=True, alt="Reported jobs", key="history_rows")


def _turn(found: JobPage, tokens: list[str]) -> None:
    """Show the ways to older and to newer jobs."""
    with st.container(horizontal=True):
        if len(tokens) > 1:
            st.button("Newer jobs", on_click=_back, args=(tokens,), icon=":material/arrow_back:")
        if found.next_page_token:
            st.button(
                "Older jobs", on_click=tokens.append, args=(found.next_page_token,), icon=":material/arrow_forward:"
            )


def _back(tokens: list[str]) -> None:
    del tokens[-1]
