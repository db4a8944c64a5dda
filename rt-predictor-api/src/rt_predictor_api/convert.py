"""Messages to domain values and back; the only module that sees both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import isnan, nan
from typing import Any

import numpy as np
import pyarrow as pa
from google.protobuf.timestamp_pb2 import Timestamp

from rt_predictor_api import arrow
from rt_predictor_api.asked import Asked
from rt_predictor_api.engine import Answer
from rt_predictor_api.live import Identity
from rt_predictor_api.validation import Violation, violations
from rt_predictor_core.artifact.manifest import Manifest
from rt_predictor_core.features.keys import TIERS
from rt_predictor_core.history.events import REQUEST_COLUMNS, Event
from rt_predictor_core.models.conformal import COVERAGE
from rt_predictor_core.requests import Requests
from rt_predictor_core.schema import BY_NAME
from rtpredictor.v1 import forecast_pb2, history_service_pb2, job_pb2, model_service_pb2
from rtpredictor.v1.problem_pb2 import FieldViolation, RowError

LISTED_REJECTIONS = 1_000
"""Rejected events that are described in an answer; all are counted."""

TEXTS = tuple(name for name in REQUEST_COLUMNS if BY_NAME[name].unit == "text")
NUMBERS = tuple(name for name in REQUEST_COLUMNS if BY_NAME[name].unit != "text")

STATED = {
    False: forecast_pb2.DEGRADED_REASON_UNSPECIFIED,
    True: forecast_pb2.DEGRADED_REASON_HISTORY_UNAVAILABLE,
}
"""What all forecasts of an answer lack, by whether it is stale."""

HISTORY_TIERS = forecast_pb2.HistoryTier.values()[1:]
"""The contract's tiers in the order of ``TIERS``; its own first is "not stated"."""

NO_WALLCLOCK = "no_wallclock_requested"
"""How an Arrow answer says ``DEGRADED_REASON_NO_WALLCLOCK_REQUESTED``."""

STALE = "history_unavailable"
"""How an Arrow answer says ``DEGRADED_REASON_HISTORY_UNAVAILABLE``."""


def asked_one(job: job_pb2.Job, as_of: int) -> Asked:
    """Return a single job that has been validated; without a submit time it is submitted at ``as_of``."""
    return Asked(Requests.from_rows([_row(job, as_of)]), np.zeros(1, np.int64), {}, [_identity(job)])


def asked_rows(jobs: Iterable[job_pb2.Job], as_of: int) -> Asked:
    """Validate jobs one by one and return them."""
    good, errors = [], {}
    for position, job in enumerate(jobs):
        if broken := violations(job):
            errors[position] = broken
        else:
            good.append((position, job))
    rows = [_row(job, as_of) for _, job in good]
    positions = np.array([position for position, _ in good], np.int64)
    return Asked(Requests.from_rows(rows), positions, errors, [_identity(job) for _, job in good])


def forecast(answer: Answer, risk: float, out: forecast_pb2.Forecast) -> None:
    """Write the forecast of the only row into ``out``."""
    _only(answer, risk, out)


def explanation(answer: Answer, out: forecast_pb2.Explanation) -> None:
    """Write why the forecast of the only row is what it is into ``out``, or why that is not told."""
    if answer.explanation is None:
        out.unexplained = forecast_pb2.UNEXPLAINED_REASON_NO_BASELINE
        return
    out.baseline_seconds = answer.explanation.baseline
    for group, seconds in sorted(answer.explanation.contributions.items(), key=lambda one: -abs(one[1])):
        out.contributions.add(group=group, seconds=seconds)


def remaining(answer: Answer, risk: float, out: forecast_pb2.RemainingForecast) -> None:
    """Write what is left of the only row, which runs, into ``out``."""
    _only(answer, risk, out)
    known = answer.forecasts.distribution
    (out.elapsed_seconds,) = known.elapsed.tolist()
    (out.share_outlasted,) = known.outlasted.tolist()
    (out.at_limit,) = known.at_limit.tolist()


def results(answer: Answer, risk: float, out: Any) -> None:
    """Add one result per row that was asked for, in order, to the repeated field ``out``."""
    errors = answer.asked.errors
    shared = _shared(forecast_pb2.Forecast, answer, risk)
    rows = _rows(answer, risk)
    for position in range(len(answer.asked)):
        result = out.add()
        if position in errors:
            result.error.CopyFrom(row_error(errors[position]))
        else:
            result.forecast.CopyFrom(shared)
            _fill(result.forecast, next(rows))


def _only(answer: Answer, risk: float, out: forecast_pb2.Forecast | forecast_pb2.RemainingForecast) -> None:
    out.CopyFrom(_shared(type(out), answer, risk))
    (row,) = _rows(answer, risk)
    _fill(out, row)


def _shared(kind: Any, answer: Answer, risk: float) -> Any:
    """Return what all forecasts of an answer have in common, to be copied: that takes half the time of building it."""
    levels = tuple(answer.forecasts.levels.tolist())
    return _template(kind, levels, answer.version, answer.stale, risk)


@lru_cache(maxsize=256)
def _template(kind: Any, levels: tuple[float, ...], version: str, stale: bool, risk: float) -> Any:  # noqa: FBT001 # a key
    return kind(
        interval=forecast_pb2.Interval(nominal_coverage=COVERAGE),
        quantiles=[forecast_pb2.Quantile(level=level) for level in levels],
        recommended_wallclock=forecast_pb2.RecommendedWallclock(risk=risk),
        model_version=version,
        degraded=STATED[stale],
    )


def _rows(answer: Answer, risk: float) -> Iterator[tuple[Any, ...]]:
    """Yield the numbers of each good row, as Python numbers; times are from now on, but for the wallclock."""
    made = answer.forecasts
    times, wallclock = made.told(risk)
    if made.elapsed is not None:
        times = times - made.elapsed[:, None]
    columns = (
        times,
        wallclock,
        made.exceeds,
        made.wallclock_req,
        made.tier,
        made.jobs,
    )
    return zip(*(column.tolist() for column in columns), strict=True)


def _fill(out: forecast_pb2.Forecast | forecast_pb2.RemainingForecast, row: tuple[Any, ...]) -> None:
    (*quantiles, median, lower, upper, most_likely), wallclock, exceeds, requested, tier, jobs = row
    out.median_seconds = median
    out.most_likely_seconds = most_likely
    out.interval.lower_seconds, out.interval.upper_seconds = lower, upper
    for quantile, seconds in zip(out.quantiles, quantiles, strict=True):
        quantile.seconds = seconds
    out.recommended_wallclock.seconds = wallclock
    out.tier = HISTORY_TIERS[tier]
    out.history_jobs = jobs
    if isnan(requested):
        out.degraded = out.degraded or forecast_pb2.DEGRADED_REASON_NO_WALLCLOCK_REQUESTED
    else:
        out.probability_exceeds_request = exceeds


def columns(answer: Answer, risk: float) -> dict[str, np.ndarray]:
    """Return what is said of the good rows but for the quantiles, by the names of the contract's Arrow answer."""
    made = answer.forecasts
    (times, wallclock), unlimited = made.told(risk), np.isnan(made.wallclock_req)
    median, lower, upper, most_likely = times[:, len(made.levels) :].T
    return {
        "median_seconds": median,
        "most_likely_seconds": most_likely,
        "lower_seconds": lower,
        "upper_seconds": upper,
        "recommended_wallclock_seconds": wallclock.astype(np.uint32),
        "probability_exceeds_request": np.where(unlimited, np.nan, made.exceeds),
        "tier": np.array(TIERS, object)[made.tier],
        "history_jobs": made.jobs.astype(np.uint32),
        "degraded": np.array([STALE, STALE] if answer.stale else [None, NO_WALLCLOCK], object)[unlimited.astype(int)],
    }


def arrow_results(answer: Answer, risk: float) -> bytes:
    """Return one row per row that was asked for, as an Arrow IPC stream with the columns that the contract names."""
    made = answer.forecasts
    told: dict[str, tuple[Any, pa.DataType]] = {}
    for name, values in columns(answer, risk).items():
        told[name] = values, pa.string() if values.dtype == object else pa.from_numpy_dtype(values.dtype)
        if name == "upper_seconds":
            for number, level in enumerate(made.levels.tolist()):
                told[quantile_column(level)] = made.quantiles[:, number], pa.float64()
    return arrow.write(told, answer.asked)


def quantile_column(level: float) -> str:
    """Return the name of a quantile's column: ``q05_seconds``, ``q97_5_seconds``."""
    whole, _, part = f"{level * 100:.6g}".partition(".")
    return f"q{whole:0>2}{'_' if part else ''}{part}_seconds"


def row_error(broken: Sequence[Violation]) -> RowError:
    """Return what is wrong with a row."""
    return RowError(violations=[FieldViolation(field=one.field, description=one.description) for one in broken])


@dataclass
class Reported:
    """The events of a call of ReportJobs so far."""

    position: int = 0
    response: history_service_pb2.ReportJobsResponse = field(default_factory=history_service_pb2.ReportJobsResponse)

    def take(self, events: Sequence[job_pb2.JobEvent]) -> list[Event]:
        """Validate events one by one, note the bad and return the good."""
        good = []
        for position, event in enumerate(events, self.position):
            if broken := violations(event):
                self._reject(position, broken)
            else:
                good.append(_event(event))
        self.position += len(events)
        return good

    def learned(self, new: Sequence[bool]) -> None:
        """Note which good events were new and which known already."""
        self.response.accepted += sum(new)
        self.response.duplicates += len(new) - sum(new)

    def _reject(self, position: int, broken: Sequence[Violation]) -> None:
        self.response.rejected_total += 1
        if len(self.response.rejected) < LISTED_REJECTIONS:
            self.response.rejected.append(history_service_pb2.RejectedEvent(position=position, error=row_error(broken)))


def model(manifest: Manifest, current: str | None) -> model_service_pb2.Model:
    """Return what is told of a model; ``current`` is the version that answers."""
    return model_service_pb2.Model(
        version=manifest.version,
        created_time=Timestamp(seconds=manifest.created),
        jobs=manifest.jobs,
        first_submit_time=Timestamp(seconds=manifest.first_submit),
        last_submit_time=Timestamp(seconds=manifest.last_submit),
        profile=manifest.profile,
        members=[model_service_pb2.Member(name=member.name, weight=member.weight) for member in manifest.members],
        scores=[_score(score) for score in manifest.scores],
        quantile_levels=manifest.levels,
        current=manifest.version == current,
        dial=[_measure(measure) for measure in manifest.dial],
    )


def _score(score: dict[str, Any]) -> model_service_pb2.MethodScore:
    """Return a method's scores; null stands for one that was not measured."""
    point = _numbers(score, "mae_h", "median_ae_min", "under_rate")
    return model_service_pb2.MethodScore(
        name=score["name"],
        mae_hours=point["mae_h"],
        median_ae_minutes=point["median_ae_min"],
        under_rate=point["under_rate"],
        coverage_90=score.get("coverage_90"),
        width_90_hours=score.get("width_90_h"),
    )


def _measure(measure: dict[str, Any]) -> model_service_pb2.DialMeasure:
    """Return what a risk led to; null stands for what was not measured."""
    return model_service_pb2.DialMeasure(
        **_numbers(measure, "risk", "measured_rate"), bound_to_request=measure.get("bound_to_request")
    )


def _numbers(entry: dict[str, Any], *names: str) -> dict[str, float]:
    """Return what an entry of a manifest says under the names; not a number where it was not measured."""
    return {name: nan if entry.get(name) is None else float(entry[name]) for name in names}


def _row(job: Any, as_of: int) -> dict[str, Any]:
    """Return a job's canonical columns; an empty text is unknown."""
    row: dict[str, Any] = {name: getattr(job, name) or None for name in TEXTS}
    row |= {name: getattr(job, name) if job.HasField(name) else None for name in NUMBERS}
    row["submit_time"] = job.submit_time.seconds if job.HasField("submit_time") else as_of
    return row


def _identity(job: job_pb2.Job) -> Identity | None:
    return (job.job_id, job.submit_time.seconds) if job.job_id and job.HasField("submit_time") else None


def _event(event: job_pb2.JobEvent) -> Event:
    row = _row(event.job, 0)
    ended = event.HasField("end_time")
    return Event(
        cluster=event.cluster,
        job_id=event.job.job_id,
        submit_time=row.pop("submit_time"),
        start_time=event.start_time.seconds if event.HasField("start_time") else None,
        end_time=event.end_time.seconds if ended else None,
        state=job_pb2.JobState.Name(event.state).removeprefix("JOB_STATE_") if ended and event.state else None,
        job=row,
    )
