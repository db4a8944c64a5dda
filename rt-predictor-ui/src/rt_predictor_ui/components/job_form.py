"""The form of one job, and how a job script fills it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import TypeVar

import streamlit as st

from rt_predictor_formats.errors import Problem
from rt_predictor_formats.memory import parse_memory
from rt_predictor_formats.sbatch import JobRequest, parse_script
from rt_predictor_formats.times import format_duration, parse_duration
from rt_predictor_ui.text import LABELS, memory_text

T = TypeVar("T")

_TEXTS = ("user", "wallclock_req", "partition", "name", "mem_req", "account", "qos", "work_dir")
_COUNTS = ("nodes_req", "processors_req", "gpus_req")
_MOST = 1_000_000
_TIME_HELP = "In any of Slurm's forms: minutes, MM:SS, HH:MM:SS, D-HH, D-HH:MM or D-HH:MM:SS."
_USER_HELP = "The login name that submits the job. Without it nothing is known of earlier jobs."


def job_form(user: str | None = None) -> JobRequest | None:
    """Show the form, of a new visitor with the name ``user``; return the request when it is sent, else None.

    Raises Problem.
    """
    st.session_state.setdefault(_key("user"), user or "")
    with st.form("job", border=True):
        first, second = st.columns(2)
        with first:
            _text("user", help_text=_USER_HELP)
            _text("wallclock_req", placeholder="1-00:00:00", help_text=_TIME_HELP)
            _text("partition")
        with second:
            _text("name")
            _text("mem_req", placeholder="16G", help_text="A number with K, M, G or T; without a letter, megabytes.")
            _text("account")
        for column, name in zip(st.columns(3), _COUNTS, strict=True):
            with column:
                _count(name, least=0 if name == "gpus_req" else 1)
        with st.expander("More about the job"):
            _text("qos")
            _text("work_dir")
        sent = st.form_submit_button("Predict", type="primary", width="stretch")
    return read_form() if sent else None


def read_form() -> JobRequest:
    """Return the request that stands in the form; raises Problem whose place is the field's column."""
    state = st.session_state
    texts = {name: str(state.get(_key(name)) or "").strip() for name in LABELS}
    return JobRequest(
        user=texts["user"] or None,
        account=texts["account"] or None,
        partition=texts["partition"] or None,
        qos=texts["qos"] or None,
        wallclock_req=_parsed("wallclock_req", texts["wallclock_req"], parse_duration),
        nodes_req=state.get(_key("nodes_req")),
        processors_req=state.get(_key("processors_req")),
        gpus_req=state.get(_key("gpus_req")),
        mem_req=_parsed("mem_req", texts["mem_req"], parse_memory),
        name=texts["name"] or None,
        work_dir=texts["work_dir"] or None,
    )


def fill_form(script: str, file_name: str | None = None) -> JobRequest:
    """Put what a job script asks for into the form and return it; what it does not name stays. Raises Problem.

    A script without a job name is named as its file, as sbatch does. To be called before the form is shown: a
    widget's value cannot change after that.
    """
    request = parse_script(script)
    values = {field.name: getattr(request, field.name) for field in fields(request)}
    given = {name: value for name, value in values.items() if value is not None}
    if not given:
        remedy = "paste the whole job script, with its #SBATCH lines at the top"
        raise Problem("SCRIPT_EMPTY", "no line begins with #SBATCH and an option that is known here", remedy=remedy)
    if request.name is None and file_name is not None:
        given["name"] = file_name
    shown = {"wallclock_req": format_duration, "mem_req": memory_text}
    for name, value in given.items():
        st.session_state[_key(name)] = shown[name](value) if name in shown else value
    return replace(request, name=given.get("name"))


def set_form(values: Mapping[str, str | int]) -> None:
    """Make the form show these values, by column, and nothing else; to be called before the form is shown."""
    for column in (*_TEXTS, *_COUNTS):
        st.session_state[_key(column)] = values.get(column, None if column in _COUNTS else "")


def _key(column: str) -> str:
    return f"job_{column}"


def _parsed(column: str, text: str, parse: Callable[[str], T]) -> T | None:
    if not text:
        return None
    try:
        return parse(text)
    except Problem as problem:
        raise Problem(problem.code, problem.thing, place=column, remedy=problem.remedy) from None


def _text(column: str, *, placeholder: str | None = None, help_text: str | None = None) -> None:
    st.text_input(LABELS[column], key=_key(column), placeholder=placeholder, help=help_text, persist_state="session")


def _count(column: str, *, least: int) -> None:
    st.number_input(
        LABELS[column],
        key=_key(column),
        min_value=least,
        max_value=_MOST,
        value=None,
        step=1,
        persist_state="session",
    )
