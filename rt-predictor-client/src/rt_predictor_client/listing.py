"""Reported jobs that the service lists, as values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from rt_predictor_client.words import moment, optional, word
from rtpredictor.v1 import forecast_pb2, history_service_pb2, job_pb2


@dataclass(frozen=True, slots=True)
class JobForecast:
    """What was forecast of a job when it was asked about or reported: seconds, tier and model as in ``Forecast``."""

    median_seconds: float
    lower_seconds: float
    upper_seconds: float
    nominal_coverage: float
    tier: str
    model_version: str


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A reported job; names are empty where they are unknown or the site tells none, hashes where it tells those.

    Attributes
    ----------
    cluster, job_id, user, account, name, work_dir, partition, qos: as told.
    wallclock_req, nodes_req, processors_req, gpus_req, mem_req: in the units of the canonical columns; None if unknown.
    submit_time, start_time, end_time: in UTC; None where there is none (yet).
    state: how it ended, such as ``completed``; None if not told.
    run_seconds: how long it ran; None if it has not ended or never ran.
    forecast: None where nothing is known any more of what was said before its end.
    """

    cluster: str
    job_id: str
    user: str
    account: str
    name: str
    work_dir: str
    partition: str
    qos: str
    wallclock_req: int | None
    nodes_req: int | None
    processors_req: int | None
    gpus_req: int | None
    mem_req: float | None
    submit_time: datetime | None
    start_time: datetime | None
    end_time: datetime | None
    state: str | None
    run_seconds: float | None
    forecast: JobForecast | None


@dataclass(frozen=True, slots=True)
class JobPage:
    """Jobs, the one submitted last first; ``next_page_token`` is empty on the last page.

    ``privacy`` says whose names the site tells: ``show``, ``hash`` or ``hide``.
    """

    jobs: tuple[JobRecord, ...]
    next_page_token: str
    privacy: str


def job_page(message: history_service_pb2.ListJobsResponse) -> JobPage:
    """Return a page of jobs as values."""
    privacy = word(history_service_pb2.Privacy, message.privacy, "PRIVACY_")
    return JobPage(tuple(map(_record, message.jobs)), message.next_page_token, privacy)


def _record(message: history_service_pb2.JobRecord) -> JobRecord:
    job = message.job
    texts = {name: getattr(job, name) for name in _TEXTS}
    numbers = {name: optional(job, name) for name in _NUMBERS}
    return JobRecord(
        cluster=message.cluster,
        **texts,
        **numbers,  # type: ignore[arg-type]  # whole numbers where the contract says so
        submit_time=moment(job, "submit_time"),
        start_time=moment(message, "start_time"),
        end_time=moment(message, "end_time"),
        state=word(job_pb2.JobState, message.state, "JOB_STATE_") if message.state else None,
        run_seconds=optional(message, "run_seconds"),
        forecast=_forecast(message.forecast) if message.HasField("forecast") else None,
    )


def _forecast(message: history_service_pb2.JobForecast) -> JobForecast:
    return JobForecast(
        median_seconds=message.median_seconds,
        lower_seconds=message.interval.lower_seconds,
        upper_seconds=message.interval.upper_seconds,
        nominal_coverage=message.interval.nominal_coverage,
        tier=word(forecast_pb2.HistoryTier, message.tier, "HISTORY_TIER_"),
        model_version=message.model_version,
    )


_TEXTS = ("job_id", "user", "account", "name", "work_dir", "partition", "qos")
_NUMBERS = ("wallclock_req", "nodes_req", "processors_req", "gpus_req", "mem_req")
