"""How the forecasts of a batch are spread: counted on the server, drawn as a few bars."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final, cast

import altair as alt
import numpy as np

from rt_predictor_formats.times import DAY, HOUR, MINUTE, human_duration
from rt_predictor_ui.palette import FORECAST

_EDGES: Final = (MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 3 * DAY, 7 * DAY)


def counted(medians: np.ndarray) -> list[tuple[str, int]]:
    """Return how many run times, float64[jobs] [s], lie in each span, by its name."""
    counts = np.bincount(np.searchsorted(_EDGES, medians, side="right"), minlength=len(_EDGES) + 1)
    return list(zip(_names(), counts.tolist(), strict=True))


def batch_chart(counts: Sequence[tuple[str, int]]) -> alt.Chart:
    """Return the chart of ``counted``."""
    rows = [{"Median run time": name, "Jobs": count} for name, count in counts]
    data: Any = alt.Data(values=rows)  # type: ignore[no-untyped-call]  # altair's generated classes have no types
    names = [name for name, _ in counts]
    chart = alt.Chart(data, description=chart_words(counts)).mark_bar(color=FORECAST)
    encoded = chart.encode(
        x=alt.X("Jobs:Q", axis=alt.Axis(tickMinStep=1)),
        y=alt.Y("Median run time:N", sort=names, title="Forecast median", axis=alt.Axis(labelOverlap=False)),
        tooltip=["Median run time:N", "Jobs:Q"],
    )
    return cast("alt.Chart", encoded.properties(height=alt.Step(24)).configure_mark(aria=False))


def chart_words(counts: Sequence[tuple[str, int]]) -> str:
    """Return what the chart shows, for those who cannot see it."""
    parts = [f"{name}: {count:,}" for name, count in counts if count]
    return f"Jobs by median run time. {'; '.join(parts) or 'none'}."


def _names() -> list[str]:
    spoken = [human_duration(edge) for edge in _EDGES]
    between = [f"{low} to {high}" for low, high in pairwise(spoken)]
    return [f"below {spoken[0]}", *between, f"from {spoken[-1]}"]
