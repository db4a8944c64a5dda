"""Which column of a file means what: guessed from the names, changed by hand."""

from __future__ import annotations

import streamlit as st

from rt_predictor_client.columns import checked, known_meanings
from rt_predictor_formats.errors import Problem
from rt_predictor_ui.batch.upload import Upload
from rt_predictor_ui.text import MEANINGS

_NONE = "not in the file"
_WIDE = 3


def columns_form(upload: Upload, name: str) -> dict[str, str]:
    """Show a choice for each meaning; return the column of each that has one. ``name`` is unique to the file.

    Raises Problem COLUMN_MISSING if there is none, or COLUMN_DOUBLE.
    """
    try:
        guessed = upload.guessed()
    except Problem as problem:
        if problem.code != "COLUMN_MISSING":
            raise
        guessed = {}
    with st.expander(f"Columns: {len(guessed)} of {len(upload.header)} understood", expanded=not guessed):
        st.caption(
            "Names of `rtp batch`, `sacct` and SWF are found by themselves. Other columns come back as they are."
        )
        places = st.columns(_WIDE)
        chosen = {}
        for i, meaning in enumerate(known_meanings()):
            with places[i % _WIDE]:
                chosen[meaning] = _choice(meaning, upload, guessed.get(meaning), f"{name}_{meaning}")
    return checked({meaning: column for meaning, column in chosen.items() if column is not None}, upload.name)


def _choice(meaning: str, upload: Upload, guessed: str | None, key: str) -> str | None:
    options = [None, *(column for column in upload.header if column)]
    return st.selectbox(
        MEANINGS[meaning],
        options,
        index=options.index(guessed),
        format_func=lambda column: _NONE if column is None else column,
        key=key,
    )
