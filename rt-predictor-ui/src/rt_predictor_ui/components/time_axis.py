"""A logarithmic axis of durations that are written as people write them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import altair as alt

from rt_predictor_formats.times import DAY, HOUR, MINUTE, human_duration

LEAST_SECONDS: Final = 1.0
"""Where the axis begins at the earliest [s]: a logarithm has no zero."""

_TICKS: Final = (
    *(1, 2, 5, 10, 20, 30),
    *(n * MINUTE for n in (1, 2, 5, 10, 20, 30)),
    *(n * HOUR for n in (1, 2, 3, 6, 12)),
    *(n * DAY for n in (1, 2, 3, 7, 14, 30, 60, 120, 366)),
)
_MOST_TICKS: Final = 6
_MARGIN: Final = 1.25


def clipped(seconds: float) -> float:
    """Return a duration [s] as it can be placed on the axis."""
    return max(seconds, LEAST_SECONDS)


def time_axis(field: str, title: str, seconds: Iterable[float], channel: Any = alt.X) -> Any:
    """Return the axis, ``alt.X`` or ``alt.Y``, for a field [s] that has room for all the durations given [s]."""
    placed = [clipped(one) for one in seconds]
    low, high = max(min(placed) / _MARGIN, LEAST_SECONDS), max(placed) * _MARGIN
    ticks = ticks_between(low, high)
    named = " : ".join(f"datum.value == {tick:g} ? '{human_duration(tick)}'" for tick in ticks)
    # a blank for what Vega might add by itself
    axis = alt.Axis(values=list(ticks), labelExpr=f"{named} : ''", grid=False, labelFlush=True, labelOverlap="greedy")
    return channel(field, type="quantitative", title=title, axis=axis, scale=alt.Scale(type="log", domain=[low, high]))


def ticks_between(low: float, high: float) -> Sequence[float]:
    """Return round durations [s] between two others; the ends themselves where there are not two of them."""
    inside = [tick for tick in _TICKS if low <= tick <= high]
    if len(inside) < 2:  # noqa: PLR2004 - one tick tells no scale
        return [round(low), round(high)] if round(low) < round(high) else [round(low)]
    step = -(-len(inside) // _MOST_TICKS)
    return inside[::-1][::step][::-1]
