"""Python values to messages of ``rtpredictor.v1`` and back; moves nothing over a wire."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, TypeAlias

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from rt_predictor_client.insight import Explanation, explanation
from rt_predictor_client.words import moment, optional, word
from rt_predictor_formats.errors import Problem, shown
from rt_predictor_formats.sacct import parse_time
from rt_predictor_formats.sbatch import JobRequest
from rtpredictor.v1 import (
    forecast_pb2,
    history_service_pb2,
    job_pb2,
    model_service_pb2,
    prediction_service_pb2,
    problem_pb2,
)

JobLike: TypeAlias = JobRequest | Mapping[str, Any]
"""A job by the names and units of the canonical columns; None or an absent key is unknown."""

_TEXTS = frozenset({"user", "partition", "qos", "account", "name", "work_dir", "submit_line", "job_id"})
_COUNTS = frozenset({"wallclock_req", "nodes_req", "processors_req", "gpus_req"})
JOB_COLUMNS = tuple(field.name for field in job_pb2.Job.DESCRIPTOR.fields)
"""Names that a job may have."""

EVENT_COLUMNS = (*JOB_COLUMNS, "cluster", "start_time", "end_time", "state")
"""Names that an event may have."""

_DERIVED = frozenset({"run_time"})  # what reading a log adds and the service works out itself
_NOT_ENDED = frozenset({"", "PENDING", "RUNNING"})


@dataclass(frozen=True, slots=True)
class Forecast:
    """What the service says about one job.

    Attributes
    ----------
    median_seconds, most_likely_seconds: median and most likely run time [s].
    lower_seconds, upper_seconds: interval [s] that covers ``nominal_coverage`` of such jobs.
    quantiles: pairs of level and run time [s], by rising level.
    recommended_seconds: wallclock to request [s] if ``risk`` is the accepted probability of being killed.
    probability_exceeds_request: of running past the requested wallclock; None if none was given.
    tier: finest history that was used: ``none``, ``user``, ``user_request``, ``user_name``, ``user_name_request``.
    history_jobs: finished jobs known at that tier.
    degraded: why it is worse than it could be, such as ``history_unavailable``; None if it is not.
    explanation: why the median is what it is; None if it was not asked for.
    """

    median_seconds: float
    most_likely_seconds: float
    lower_seconds: float
    upper_seconds: float
    nominal_coverage: float
    quantiles: tuple[tuple[float, float], ...]
    recommended_seconds: int
    risk: float
    probability_exceeds_request: float | None
    model_version: str
    tier: str
    history_jobs: int
    degraded: str | None
    explanation: Explanation | None = field(default=None, kw_only=True)

    def quantile(self, level: float) -> float:
        """Return the run time [s] at a level, interpolated between the levels given; ValueError outside of them."""
        for (low, below), (high, above) in pairwise(self.quantiles):
            if low <= level <= high:
                return below + (above - below) * (level - low) / (high - low)
        raise ValueError(f"level {level} lies outside the forecast's quantiles")


@dataclass(frozen=True, slots=True)
class RemainingForecast(Forecast):
    """What the service says about what is left of one running job, given that it has come so far.

    The times of the forecast are those from now on; ``recommended_seconds`` alone is the total wallclock, from the
    job's start.

    Attributes
    ----------
    elapsed_seconds: how long it has run, as it was asked [s].
    share_outlasted: share of such jobs that need no more than this one has run already.
    at_limit: whether it has run up to the limit that the scheduler enforces, or past it.
    """

    elapsed_seconds: float
    share_outlasted: float
    at_limit: bool


@dataclass(frozen=True, slots=True)
class RowError:
    """Why one row of many was not accepted: its position from 0, and pairs of field and description."""

    position: int
    violations: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return "; ".join(f"{field}: {description}" if field else description for field, description in self.violations)


@dataclass(frozen=True, slots=True)
class ReportResult:
    """What became of reported events; ``rejected`` lists at most the first 1000 of ``rejected_total``."""

    accepted: int
    duplicates: int
    rejected_total: int
    rejected: tuple[RowError, ...]


@dataclass(frozen=True, slots=True)
class MethodScore:
    """How a method did on the newest jobs of the log: errors in hours and minutes, rates as shares."""

    name: str
    mae_hours: float
    median_ae_minutes: float
    under_rate: float
    coverage_90: float | None
    width_90_hours: float | None


@dataclass(frozen=True, slots=True)
class DialMeasure:
    """What an accepted risk led to on the newest jobs of the log.

    Attributes
    ----------
    measured_rate: share of jobs that the wallclock recommended at ``risk`` would have killed, and the request not.
    bound_to_request: mean of the recommended wallclock as a share of the requested one; None if none was requested.
    """

    risk: float
    measured_rate: float
    bound_to_request: float | None


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model: what it was trained on, its members with weights, its scores; times are in UTC, None if not stated.

    ``dial`` is empty for a model whose risks were not measured.
    """

    version: str
    current: bool
    created_time: datetime | None
    jobs: int
    first_submit_time: datetime | None
    last_submit_time: datetime | None
    profile: str
    members: tuple[tuple[str, float], ...]
    scores: tuple[MethodScore, ...]
    quantile_levels: tuple[float, ...]
    dial: tuple[DialMeasure, ...]


def job_message(job: JobLike) -> job_pb2.Job:
    """Return a job as a message.

    ``submit_time`` may be a datetime (UTC if it has no zone), seconds since 1970 or ISO text.
    Raises Problem FIELD_UNKNOWN or FIELD_INVALID, its place being the field. Bounds are the service's matter.
    """
    columns = _columns(job)
    _refuse_unknown(columns, JOB_COLUMNS)
    return _job(columns)


def job_values(job: JobLike) -> dict[str, Any]:
    """Return what is known of a job by column, checked as ``job_message`` checks it, for a table of jobs.

    Texts are str, counts int, sizes float; ``submit_time`` is in microseconds since 1970. Raises Problem as
    ``job_message``.
    """
    return {
        field.name: value.ToMicroseconds() if isinstance(value, Timestamp) else value
        for field, value in job_message(job).ListFields()
    }


def remaining_message(
    job: JobLike, elapsed_seconds: float, risk: float | None
) -> prediction_service_pb2.PredictRemainingRequest:
    """Return the request for what is left of a job that has run for some time. Raises Problem as ``job_message``."""
    message = prediction_service_pb2.PredictRemainingRequest(job=job_message(job), risk=risk)
    _set_number(message, "elapsed_seconds", elapsed_seconds)
    return message


def event_message(event: Mapping[str, Any]) -> job_pb2.JobEvent:
    """Return an event: a job's columns with ``cluster``, ``start_time``, ``end_time`` and ``state``.

    ``state`` is a canonical name such as ``COMPLETED``. A job that runs has neither end nor state, one that waits has
    no start either, and one that left the queue without running has an end alone.
    Raises Problem as ``job_message`` does.
    """
    _refuse_unknown(event, EVENT_COLUMNS)
    message = job_pb2.JobEvent(job=_job({name: value for name, value in event.items() if name in JOB_COLUMNS}))
    if event.get("cluster"):
        message.cluster = _text("cluster", event["cluster"])
    for name, target in (("start_time", message.start_time), ("end_time", message.end_time)):
        if event.get(name) is not None:
            target.CopyFrom(_timestamp(name, event[name]))
    state = str(event.get("state") or "").upper()
    if state not in _NOT_ENDED:
        message.state = _state(state)
    return message


def forecast(message: forecast_pb2.Forecast) -> Forecast:
    """Return a forecast message as values."""
    explained = explanation(message.explanation) if message.HasField("explanation") else None
    return Forecast(**_forecast_values(message), explanation=explained)


def remaining(message: forecast_pb2.RemainingForecast) -> RemainingForecast:
    """Return a message about what is left of a job as values."""
    return RemainingForecast(
        **_forecast_values(message),
        elapsed_seconds=message.elapsed_seconds,
        share_outlasted=message.share_outlasted,
        at_limit=message.at_limit,
    )


def row_error(message: problem_pb2.RowError, position: int) -> RowError:
    """Return a row's error as values."""
    return RowError(position, tuple((violation.field, violation.description) for violation in message.violations))


def problem_error(problem: Problem, position: int) -> RowError:
    """Return the error of a row that could not even be sent."""
    return RowError(position, ((problem.place, f"{problem.thing}; {problem.remedy}"),))


def report_result(message: history_service_pb2.ReportJobsResponse) -> ReportResult:
    """Return the answer to a report as values."""
    rejected = tuple(row_error(event.error, event.position) for event in message.rejected)
    return ReportResult(message.accepted, message.duplicates, message.rejected_total, rejected)


def model_info(message: model_service_pb2.Model) -> ModelInfo:
    """Return a model message as values."""
    return ModelInfo(
        version=message.version,
        current=message.current,
        created_time=moment(message, "created_time"),
        jobs=message.jobs,
        first_submit_time=moment(message, "first_submit_time"),
        last_submit_time=moment(message, "last_submit_time"),
        profile=message.profile,
        members=tuple((member.name, member.weight) for member in message.members),
        scores=tuple(_score(score) for score in message.scores),
        quantile_levels=tuple(message.quantile_levels),
        dial=tuple(DialMeasure(one.risk, one.measured_rate, optional(one, "bound_to_request")) for one in message.dial),
    )


def _forecast_values(message: forecast_pb2.Forecast | forecast_pb2.RemainingForecast) -> dict[str, Any]:
    return {
        "median_seconds": message.median_seconds,
        "most_likely_seconds": message.most_likely_seconds,
        "lower_seconds": message.interval.lower_seconds,
        "upper_seconds": message.interval.upper_seconds,
        "nominal_coverage": message.interval.nominal_coverage,
        "quantiles": tuple((quantile.level, quantile.seconds) for quantile in message.quantiles),
        "recommended_seconds": message.recommended_wallclock.seconds,
        "risk": message.recommended_wallclock.risk,
        "probability_exceeds_request": optional(message, "probability_exceeds_request"),
        "model_version": message.model_version,
        "tier": word(forecast_pb2.HistoryTier, message.tier, "HISTORY_TIER_"),
        "history_jobs": message.history_jobs,
        "degraded": word(forecast_pb2.DegradedReason, message.degraded, "DEGRADED_REASON_")
        if message.degraded
        else None,
    }


def _columns(job: JobLike) -> Mapping[str, Any]:
    return {field.name: getattr(job, field.name) for field in fields(job)} if isinstance(job, JobRequest) else job


def _refuse_unknown(columns: Iterable[str], known: tuple[str, ...]) -> None:
    for name in columns:
        if name not in known and name not in _DERIVED:
            raise Problem("FIELD_UNKNOWN", "no such field", place=str(name), remedy=f"known are {', '.join(known)}")


def _job(columns: Mapping[str, Any]) -> job_pb2.Job:
    message = job_pb2.Job()
    for name, value in columns.items():
        if value is None or name in _DERIVED:
            continue
        if name == "submit_time":
            message.submit_time.CopyFrom(_timestamp(name, value))
        elif name in _TEXTS:
            setattr(message, name, _text(name, value))
        else:
            _set_number(message, name, value)
    return message


def _text(name: str, value: object) -> str:
    if not isinstance(value, str | int):
        raise _invalid(name, value, "write text")
    text = str(value)
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise _invalid(name, value, "write it in UTF-8")
    return text


def _set_number(message: Message, name: str, value: object) -> None:
    what = "a whole number" if name in _COUNTS else "a number"
    try:
        number = float(value)  # type: ignore[arg-type]  # what is no number raises
        setattr(message, name, _whole(number) if name in _COUNTS else number)
    except (TypeError, ValueError, OverflowError):
        raise _invalid(name, value, f"write {what}") from None


def _whole(number: float) -> int:
    if not number.is_integer():
        raise ValueError
    return int(number)


def _timestamp(name: str, value: object) -> Timestamp:
    try:
        if isinstance(value, datetime):
            seconds = (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
        else:
            parsed = parse_time(value) if isinstance(value, str) else float(value)  # type: ignore[arg-type]
            seconds = float(parsed)  # type: ignore[arg-type]  # None, an unknown time, raises
        whole, fraction = divmod(seconds, 1)
        message = Timestamp(seconds=int(whole), nanos=int(fraction * 1_000_000) * 1000)
        message.ToDatetime()
    except (Problem, TypeError, ValueError, OverflowError):
        raise _invalid(name, value, "write seconds since 1970 or YYYY-MM-DDTHH:MM:SS") from None
    return message


def _state(name: str) -> job_pb2.JobState.ValueType:
    try:
        return job_pb2.JobState.Value(f"JOB_STATE_{name}")
    except ValueError:
        known = ", ".join(key.removeprefix("JOB_STATE_") for key in job_pb2.JobState.keys()[1:])
        raise _invalid("state", name, f"known are {known}") from None


def _invalid(name: str, value: object, remedy: str) -> Problem:
    return Problem("FIELD_INVALID", f"{shown(value)} is not accepted", place=name, remedy=remedy)


def _score(message: model_service_pb2.MethodScore) -> MethodScore:
    return MethodScore(
        name=message.name,
        mae_hours=message.mae_hours,
        median_ae_minutes=message.median_ae_minutes,
        under_rate=message.under_rate,
        coverage_90=optional(message, "coverage_90"),
        width_90_hours=optional(message, "width_90_hours"),
    )
