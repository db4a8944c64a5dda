"""A problem on a page: what, where, what to do."""

from __future__ import annotations

import streamlit as st

from rt_predictor_client import ClientError
from rt_predictor_formats.errors import Problem
from rt_predictor_ui.text import escape, label


def problem_box(problem: Problem) -> None:
    """Show a problem; each field that the service refused gets a line with the form's name for it."""
    st.error(problem_text(problem), icon=":material/error:")


def problem_text(problem: Problem) -> str:
    """Return a problem as Markdown: thing and place, the fields in question, the remedy, the code."""
    fields = problem.fields if isinstance(problem, ClientError) else ()
    if fields:
        lines = [f"**{escape(label(name))}**: {escape(description)}" for name, description in fields]
    else:
        place = label(problem.place)
        lines = [f"**{_sentence(problem.thing)}**" + (f" ({escape(place)})" if place else "")]
    lines.append(f"What to do: {_with_code(problem.remedy)}.")
    lines.append(f":small[{escape(problem.code)}]")
    return "\n\n".join(lines)


def _with_code(text: str) -> str:
    """Escape text except what stands between backticks, which are commands and variables."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # a backtick without its partner is only a character
        return escape(text)
    return "".join(f"`{part}`" if i % 2 else _escape_spaced(part) for i, part in enumerate(parts))


def _escape_spaced(text: str) -> str:
    """Escape text and keep the blank on either side of it."""
    before, after = " " * text[:1].isspace(), " " * text[-1:].isspace()
    return f"{before}{escape(text)}{after}"


def _sentence(text: str) -> str:
    return escape(text[:1].upper() + text[1:])
