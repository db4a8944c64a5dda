"""Jobs over time: what each requested, what it was forecast to take, and what it took."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, cast

import altair as alt

from rt_predictor_client.listing import JobRecord
from rt_predictor_formats.times import DAY, human_duration
from rt_predictor_ui.components.time_axis import clipped, time_axis
from rt_predictor_ui.history_facts import followed, share
from rt_predictor_ui.palette import ADVICE, FORECAST, LIMIT

_HEIGHT: Final = 320
_KINDS: Final = {"ran": (ADVICE, "circle"), "forecast": (FORECAST, "diamond"), "requested": (LIMIT, "triangle-down")}


def history_chart(jobs: Sequence[JobRecord]) -> alt.LayerChart | None:
    """Return the picture; None where no job tells a time."""
    points = [point for job in jobs if job.submit_time for point in _points(job, job.submit_time)]
    if not points:
        return None
    bands = [
        {
            "at": _moment(job.submit_time),
            "low": clipped(job.forecast.lower_seconds),
            "high": clipped(job.forecast.upper_seconds),
        }
        for job in jobs
        if job.submit_time and job.forecast
    ]
    span = [point["seconds"] for point in points] + [edge for band in bands for edge in (band["low"], band["high"])]
    moments = [point["at"] for point in points]
    written = "%H:%M" if max(moments) - min(moments) < 1000 * DAY else "%b %d"
    axis = alt.Axis(tickCount=6, labelOverlap=True, format=written)
    x = alt.X("at", type="temporal", title="Submitted", axis=axis, scale=alt.Scale(padding=12))
    names, looks = list(_KINDS), list(_KINDS.values())
    legend = alt.Legend(orient="bottom", title=None)
    colour = alt.Scale(domain=names, range=[one for one, _ in looks])
    shape = alt.Scale(domain=names, range=[one for _, one in looks])
    rules = (
        alt.Chart(_data(bands))
        .mark_rule(color=FORECAST, size=5, opacity=0.35)
        .encode(x=x, y=time_axis("low", "Time", span, alt.Y), y2="high:Q")
    )
    marks = (
        alt.Chart(_data(points))
        .mark_point(size=50, filled=True, opacity=1)
        .encode(
            x=x,
            y=time_axis("seconds", "Time", span, alt.Y),
            color=alt.Color("What:N", scale=colour, legend=legend),
            shape=alt.Shape("What:N", scale=shape, legend=legend),
            tooltip=["Job:N", "What:N", "Time:N"],
        )
    )
    chart = alt.layer(rules, marks).properties(height=_HEIGHT, description=chart_words(jobs))
    return cast("alt.LayerChart", chart.configure_mark(aria=False))


def chart_words(jobs: Sequence[JobRecord]) -> str:
    """Return what the chart shows, for those who cannot see it."""
    told = followed(jobs)
    error = "-" if told.mean_error_hours is None else f"{told.mean_error_hours:.2f} h"
    return (
        f"{len(jobs)} jobs by submission: requested, forecast with its band, and run time. {told.compared} of them "
        f"can be compared: mean error {error}, inside the band {share(told.inside)}."
    )


def _points(job: JobRecord, at: datetime) -> list[dict[str, Any]]:
    median = None if job.forecast is None else job.forecast.median_seconds
    times = {"requested": job.wallclock_req, "forecast": median, "ran": job.run_seconds}
    return [
        {
            "at": _moment(at),
            "seconds": clipped(seconds),
            "What": what,
            "Job": job.job_id,
            "Time": human_duration(seconds),
        }
        for what, seconds in times.items()
        if seconds is not None
    ]


def _moment(at: datetime | None) -> float:
    # milliseconds since 1970 are shown in the browser's own time zone
    return 1000 * at.timestamp() if at else 0.0


def _data(rows: Sequence[dict[str, Any]]) -> Any:
    return alt.Data(values=list(rows))  # type: ignore[no-untyped-call]  # altair's generated classes have no types
