"""Reported jobs as rows of a table and as figures; nothing is worked out that the service does not tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rt_predictor_client.listing import JobRecord
from rt_predictor_client.output import percent
from rt_predictor_formats.times import HOUR, format_duration, human_duration
from rt_predictor_ui.text import spoken_duration

Rows = list[dict[str, str]]

_NAMES: Final = (("job_id", "Job"), ("user", "User"), ("account", "Account"), ("name", "Name"))


@dataclass(frozen=True)
class Followed:
    """How forecasts and requests of some jobs turned out; None where no job tells it.

    Attributes
    ----------
    compared: jobs that ended and were forecast.
    mean_error_hours: mean difference between their median and their run time [h].
    inside: share of them that ended inside their band.
    used: run time of all ended jobs as a share of what they requested.
    """

    compared: int
    mean_error_hours: float | None
    inside: float | None
    used: float | None


def followed(jobs: Sequence[JobRecord]) -> Followed:
    """Return how the forecasts of some jobs turned out."""
    errors, inside = [], 0
    for job in jobs:
        if job.run_seconds is not None and job.forecast is not None:
            errors.append(abs(job.run_seconds - job.forecast.median_seconds))
            inside += job.forecast.lower_seconds <= job.run_seconds <= job.forecast.upper_seconds
    ran = [(job.run_seconds, job.wallclock_req) for job in jobs if job.run_seconds is not None and job.wallclock_req]
    return Followed(
        compared=len(errors),
        mean_error_hours=sum(errors) / len(errors) / HOUR if errors else None,
        inside=inside / len(errors) if errors else None,
        used=sum(run for run, _ in ran) / sum(asked for _, asked in ran) if ran else None,
    )


def job_rows(jobs: Sequence[JobRecord]) -> Rows:
    """Return a row for each job; names that are not told of any have no column."""
    names = [(name, label) for name, label in _NAMES if any(getattr(job, name) for job in jobs)]
    return [{**{label: getattr(job, name) for name, label in names}, **_cells(job)} for job in jobs]


def progress_words(job: JobRecord) -> str:
    """Return how a job ended, or how far it has come."""
    if job.state:
        return job.state.replace("_", " ")
    if job.end_time is not None:
        return "ended" if job.start_time is not None else "withdrawn"
    return "runs" if job.start_time is not None else "waits"


def share(value: float | None) -> str:
    """Return a share in words; a dash where there is none."""
    return "-" if value is None else percent(value)


def _cells(job: JobRecord) -> dict[str, str]:
    said, ran = job.forecast, job.run_seconds
    inside = None if said is None or ran is None else said.lower_seconds <= ran <= said.upper_seconds
    return {
        "Submitted": job.submit_time.strftime("%Y-%m-%d %H:%M") if job.submit_time else "-",
        "Requested": "-" if job.wallclock_req is None else format_duration(job.wallclock_req),
        "Ran": "-" if ran is None else human_duration(ran),
        "Forecast": "-" if said is None else spoken_duration(said.median_seconds),
        "Band": "-"
        if said is None
        else f"{spoken_duration(said.lower_seconds)} to {spoken_duration(said.upper_seconds)}",
        "In the band": {True: "yes", False: "no", None: "-"}[inside],
        "State": progress_words(job),
    }
