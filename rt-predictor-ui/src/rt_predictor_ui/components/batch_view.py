"""A run over a file: how far it is, and its results a page at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st

from rt_predictor_client.output import percent
from rt_predictor_formats.times import human_duration
from rt_predictor_ui.batch.export import errors_csv, results_csv, results_parquet
from rt_predictor_ui.batch.results import SHOWN, View
from rt_predictor_ui.batch.run import Progress, Run
from rt_predictor_ui.components.batch_chart import batch_chart, counted
from rt_predictor_ui.components.problem_box import problem_box
from rt_predictor_ui.text import escape, spoken_duration

PAGE_ROWS: Final = 50
"""Rows of a page."""

_LOOK_SECONDS: Final = 1.0
_ORDERS: Final[Mapping[str, str]] = {
    "Row": "",
    "Median": "median_seconds",
    "Recommended": "recommended_seconds",
    "Killed at the limit": "probability_exceeds_request",
    "Finished jobs known": "history_jobs",
}


@st.fragment(run_every=_LOOK_SECONDS)
def progress_view(run: Run) -> None:
    """Show how far a run is until it ends."""
    progress = run.progress()
    if not progress.going:
        st.rerun()
    st.progress(progress.rows / progress.total, text=progress_words(progress))
    if progress.problem is not None:
        problem_box(progress.problem)
    st.button("Cancel", on_click=run.cancel, icon=":material/cancel:")


def progress_words(progress: Progress) -> str:
    """Return how far a run is, in words."""
    parts = [f"{progress.rows:,} of {progress.total:,} rows", f"{progress.rate:,.0f} rows/s"]
    if progress.left_seconds is not None:
        parts.append(f"{human_duration(progress.left_seconds)} left")
    if progress.state == "waiting":
        parts.append("waiting for the service")
    return ", ".join(parts)


def end_view(run: Run) -> None:
    """Show how a run ended."""
    progress = run.progress()
    told = f"{progress.rows:,} of {progress.total:,} rows of {escape(run.upload.name)}"
    took = f"in {human_duration(max(progress.seconds, 1))}, {progress.rate:,.0f} rows/s"
    if progress.problem is not None:
        problem_box(progress.problem)
        st.warning(f"Broken off: {told} have an answer.")
    elif progress.state == "cancelled":
        st.warning(f"Cancelled: {told} have an answer.")
    else:
        st.success(f"Done: {told} {took}.")


def _downloads(run: Run) -> None:
    results, stem = run.results, run.upload.name.rpartition(".")[0] or run.upload.name
    files: list[tuple[str, Any, str, str]] = [
        ("Results as CSV", lambda: results_csv(results), f"{stem}-forecasts.csv", "text/csv"),
        (
            "Results as Parquet",
            lambda: results_parquet(results.table()),
            f"{stem}-forecasts.parquet",
            "application/vnd.apache.parquet",
        ),
    ]
    if results.errors:
        files.append(("Errors as CSV", lambda: errors_csv(results), f"{stem}-errors.csv", "text/csv"))
    with st.container(horizontal=True):
        for label, data, name, kind in files:
            st.download_button(label, data, name, kind, on_click="ignore", icon=":material/download:", key=label)


@st.fragment
def results_view(run: Run) -> None:
    """Show the results: counts, files, chart, and the rows of one page; the browser never has more than these."""
    table = run.results.table()
    _counts(table, run)
    _downloads(run)
    counts = counted(table["median_seconds"].drop_null().to_numpy())
    st.altair_chart(batch_chart(counts), width="stretch")
    view = _view(run)
    found = run.results.viewed(view)
    pages = max(-(-len(found) // PAGE_ROWS), 1)
    st.caption(f"{len(found):,} of {table.num_rows:,} rows")
    page = st.pagination(pages, key=f"page_{hash((id(run), view))}") if pages > 1 else 1
    rows = run.results.at(found[(page - 1) * PAGE_ROWS : page * PAGE_ROWS])
    st.dataframe(
        [_row(row, run) for row in rows], hide_index=True, alt="Forecasts by row of the file", key="batch_rows"
    )


def _counts(table: pa.Table, run: Run) -> None:
    risky = pc.greater(table["probability_exceeds_request"], run.risk)
    counts = {
        "Rows": table.num_rows,
        "With an error": run.results.errors,
        "Cold start": pc.sum(pc.equal(table["tier"], "none")).as_py() or 0,
        f"At risk (above {percent(run.risk)})": pc.sum(risky).as_py() or 0,
    }
    with st.container(horizontal=True):
        for label, count in counts.items():
            st.metric(label, f"{count:,}")


def _view(run: Run) -> View:
    kind = st.segmented_control("Show", SHOWN, default=SHOWN[0], required=True, key="batch_kind")
    text, by, falling = st.columns([2, 1, 1], vertical_alignment="bottom")
    with text:
        wanted = st.text_input("Contains", key="batch_text", help="In any column of the file, or in the error.")
    with by:
        order = st.selectbox("Order by", list(_ORDERS), key="batch_order")
    with falling:
        down = st.toggle("Largest first", key="batch_falling")
    by_field = run.results.number if order == "Row" else _ORDERS[str(order)]
    return View(str(kind), (wanted or "").strip(), run.risk, by_field, down)


def _row(row: Mapping[str, Any], run: Run) -> dict[str, Any]:
    """Return a row as people write it."""
    shown = {"Row": row[run.results.number]}
    if row["error"] is not None:
        return {**shown, "Error": row["error"], **{name: row[name] for name in run.results.kept}}
    chance = row["probability_exceeds_request"]
    return {
        **shown,
        "Error": "",
        "Median": spoken_duration(row["median_seconds"]),
        "Band": f"{spoken_duration(row['lower_seconds'])} to {spoken_duration(row['upper_seconds'])}",
        "Recommended": row["recommended_time"],
        "Killed at the limit": "" if chance is None else percent(chance),
        "Finished jobs known": row["history_jobs"],
        **{name: row[name] for name in run.results.kept},
    }
