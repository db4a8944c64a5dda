"""Forecast many jobs: a file in, a table out."""

from __future__ import annotations

import streamlit as st

from rt_predictor_formats.errors import Problem
from rt_predictor_ui.batch.run import Run
from rt_predictor_ui.batch.upload import MOST_MEGABYTES, MOST_ROWS, TEMPLATE, Upload, preview, read_upload
from rt_predictor_ui.components.batch_view import end_view, progress_view, results_view
from rt_predictor_ui.components.columns_form import columns_form
from rt_predictor_ui.components.problem_box import problem_box
from rt_predictor_ui.components.risk_slider import risk_slider
from rt_predictor_ui.text import MEANINGS, escape

_UPLOAD, _RUN = "batch_upload", "batch_run"
_PREVIEWED = 5
_KINDS = ("csv", "tsv", "psv", "txt")


def render() -> None:
    """Show the page."""
    st.title("Forecast many jobs")
    st.markdown(
        "Give a CSV file with a line for each job: yours, what `sacct --parsable2` prints, or one with names of SWF. "
        "Nothing is submitted."
    )
    st.download_button("Template", TEMPLATE, "jobs.csv", "text/csv", on_click="ignore", icon=":material/download:")
    label = f"CSV file of jobs, up to {MOST_MEGABYTES} MB and {MOST_ROWS:,} rows"
    file = st.file_uploader(label, type=_KINDS, max_upload_size=MOST_MEGABYTES, key="batch_file")
    run: Run | None = st.session_state.get(_RUN)
    if file is not None:
        try:
            _offer(_upload(file), file.file_id, going=run is not None and run.progress().going)
        except Problem as problem:
            problem_box(problem)
    if run is not None:
        st.header("Results")
        if run.progress().going:
            progress_view(run)
        else:
            end_view(run)
            results_view(run)


def _upload(file: st.runtime.uploaded_file_manager.UploadedFile) -> Upload:
    """Return the file, read once; raises Problem."""
    read = st.session_state.get(_UPLOAD)
    if read is None or read[0] != file.file_id:
        read = (file.file_id, read_upload(file.name, file.getvalue()))
        st.session_state[_UPLOAD] = read
    return read[1]


def _offer(upload: Upload, name: str, *, going: bool) -> None:
    """Show what the file holds and how it is understood, and offer to forecast it; raises Problem."""
    st.markdown(f"**{escape(upload.name)}**: {upload.rows:,} rows, {len(upload.header)} columns")
    by = columns_form(upload, name)
    st.caption(f"The first {min(_PREVIEWED, upload.rows)} rows as they are understood:")
    shown = [{MEANINGS.get(name, name): cell for name, cell in row.items()} for row in preview(upload, by, _PREVIEWED)]
    st.dataframe(shown, hide_index=True, alt="The first rows as they are understood")
    risk = risk_slider()
    rows = "1 row" if upload.rows == 1 else f"{upload.rows:,} rows"
    st.button(f"Predict {rows}", type="primary", on_click=_start, args=(upload, by, risk), disabled=going)


def _start(upload: Upload, by: dict[str, str], risk: float) -> None:
    run = Run(upload, by, risk)
    st.session_state[_RUN] = run
    run.start()
