"""How a model did, part by part: errors, coverage, quantiles, and what its members rest on."""

from __future__ import annotations

import streamlit as st

from rt_predictor_client.insight import EvaluationInfo
from rt_predictor_client.output import day
from rt_predictor_ui.components.evaluation_charts import (
    coverage_chart,
    error_chart,
    importance_chart,
    reliability_chart,
)
from rt_predictor_ui.evaluation_facts import (
    KINDS,
    NOMINAL,
    compared_parts,
    importance_rows,
    part_rows,
    parts,
    reliability_rows,
)
from rt_predictor_ui.text import share_words


def evaluation_view(evaluation: EvaluationInfo | None) -> None:
    """Show it, or that this model has none."""
    st.header("Part by part")
    if evaluation is None:
        st.info("The service tells no more of this model: it was published by an earlier release.")
        return
    first, last = day(evaluation.first_submit_time), day(evaluation.last_submit_time)
    st.caption(f"{evaluation.overall.jobs:,} jobs submitted {first} to {last}, which no member had seen.")
    kind = str(st.segmented_control("Part them", list(KINDS), default=next(iter(KINDS)), required=True, key="parts"))
    some = parts(evaluation, kind)
    if some:
        st.altair_chart(error_chart(some), width="stretch")
        st.altair_chart(coverage_chart(some), width="stretch")
        st.dataframe(part_rows(some), hide_index=True, alt=f"Scores {kind.lower()}")
    else:
        st.info("Nothing is told of these parts.")
    _reliability(evaluation)
    _importance(evaluation)


def compared_view(one: EvaluationInfo | None, other: EvaluationInfo | None) -> None:
    """Show two models part by part, if both are told."""
    if one is None or other is None:
        return
    kind = st.selectbox("Compare", list(KINDS)[::-1], key="compared_parts")
    st.dataframe(compared_parts(one, other, kind), hide_index=True, alt="Two versions part by part")


def _reliability(evaluation: EvaluationInfo) -> None:
    if not evaluation.reliability:
        return
    st.header("Quantiles, nominal and measured")
    st.caption(
        "Share of jobs that ran no longer than each quantile. On the dashed line it is what was said; the band between "
        f"the outermost is made for {share_words(NOMINAL)}."
    )
    st.altair_chart(reliability_chart(evaluation.reliability), width="stretch")
    st.table(reliability_rows(evaluation), hide_index=True, alt="Quantiles, nominal and measured")


def _importance(evaluation: EvaluationInfo) -> None:
    if not evaluation.importance:
        return
    st.header("What the members rest on")
    by_name = {member.name: member for member in evaluation.importance}
    name = st.selectbox("Member", list(by_name), key="importance")
    member = by_name.get(str(name), evaluation.importance[0])
    st.caption("Share of each feature in the gain of all splits of the trees.")
    st.altair_chart(importance_chart(member), width="stretch")
    with st.expander(f"All {len(member.features)} features"):
        st.dataframe(importance_rows(member), hide_index=True, alt="Share of each feature")
