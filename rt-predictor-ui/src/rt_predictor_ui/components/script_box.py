"""A job script, pasted or as a file, that fills the form."""

from __future__ import annotations

import streamlit as st

from rt_predictor_formats.errors import Problem
from rt_predictor_formats.sbatch import LARGEST_SCRIPT, decode_script
from rt_predictor_ui.components.job_form import fill_form
from rt_predictor_ui.components.problem_box import problem_box
from rt_predictor_ui.text import escape, request_words

_TEXT, _FILE, _NOTE = "script", "script_file", "script_note"
_PLACEHOLDER = "#!/bin/bash\n#SBATCH --time=1-00:00:00\n#SBATCH --nodes=2"


def script_box() -> None:
    """Show the box; what fills the form runs before the page is drawn again."""
    with st.expander("Use a job script", icon=":material/description:"):
        largest = LARGEST_SCRIPT // 1024**2
        st.file_uploader("Script file", key=_FILE, on_change=_take_file, max_upload_size=largest)
        st.text_area("Job script", key=_TEXT, height=160, placeholder=_PLACEHOLDER)
        st.button("Fill the form", on_click=_take_text)
        note = st.session_state.pop(_NOTE, None)
        if isinstance(note, Problem):
            problem_box(note)
        elif note is not None:
            st.success(f"The form now asks for {escape(str(note))}.")


def _take_text() -> None:
    _fill(str(st.session_state.get(_TEXT) or ""), None)


def _take_file() -> None:
    file = st.session_state.get(_FILE)
    if file is None:  # it was taken away again
        return
    try:
        text = decode_script(file.getvalue(), file.name)
    except Problem as problem:
        st.session_state[_NOTE] = problem
        return
    st.session_state[_TEXT] = text
    _fill(text, file.name)


def _fill(script: str, name: str | None) -> None:
    try:
        st.session_state[_NOTE] = request_words(fill_form(script, name))
    except Problem as problem:
        st.session_state[_NOTE] = problem
