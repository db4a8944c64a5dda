"""Listed jobs as messages of the contract, and where the next page of them begins."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from rt_predictor_api.convert import HISTORY_TIERS, NUMBERS, TEXTS
from rt_predictor_api.live import Said
from rt_predictor_api.security.privacy import Mode
from rt_predictor_api.stores.jobs import UNTOLD, Listed, Place
from rt_predictor_api.validation import InvalidRequest, Violation
from rt_predictor_core.models.conformal import COVERAGE
from rtpredictor.v1 import forecast_pb2, history_service_pb2, job_pb2

MODES: dict[Mode, history_service_pb2.Privacy.ValueType] = {
    "show": history_service_pb2.PRIVACY_SHOW,
    "hash": history_service_pb2.PRIVACY_HASH,
    "hide": history_service_pb2.PRIVACY_HIDE,
}

_TOLD = tuple(name for name in TEXTS if name not in UNTOLD)


def fill(listed: Listed, said: Said | None, out: history_service_pb2.JobRecord) -> None:
    """Write a job, and what was forecast of it, into ``out``."""
    out.cluster = listed.cluster
    out.job.job_id = listed.job_id
    out.job.submit_time.seconds = listed.place.submit
    _fill_job(listed.job, out.job)
    if listed.start_time is not None:
        out.start_time.seconds = listed.start_time
    if listed.end_time is not None:
        out.end_time.seconds = listed.end_time
    if listed.start_time is not None and listed.end_time is not None:
        out.run_seconds = listed.end_time - listed.start_time
    if listed.state is not None:
        out.state = job_pb2.JobState.Value(f"JOB_STATE_{listed.state}")
    if said is not None:
        interval = forecast_pb2.Interval(lower_seconds=said.lower, upper_seconds=said.upper, nominal_coverage=COVERAGE)
        out.forecast.CopyFrom(
            history_service_pb2.JobForecast(
                median_seconds=said.median,
                interval=interval,
                tier=HISTORY_TIERS[said.tier],
                model_version=said.version,
            )
        )


def token(request: history_service_pb2.ListJobsRequest, last: Place) -> str:
    """Return where the page after ``last`` begins, for a request with the same filters."""
    text = json.dumps([last.submit, last.key, _filters(request)])
    return urlsafe_b64encode(text.encode()).decode()


def place(request: history_service_pb2.ListJobsRequest) -> Place | None:
    """Return where the page of a request begins; None for the newest job.

    Raises
    ------
    InvalidRequest
        Where the token is none of a request with the same filters.
    """
    if not request.page_token:
        return None
    try:
        submit, key, filters = json.loads(urlsafe_b64decode(request.page_token.encode()))
    except (ValueError, TypeError, RecursionError):
        submit = key = filters = None
    if type(submit) is not int or not isinstance(key, str) or filters != _filters(request) or abs(submit) >= 1 << 63:
        text = "must be next_page_token of the answer to a request with the same user and account"
        raise InvalidRequest([Violation("page_token", text)])
    return Place(submit, key)


def _filters(request: history_service_pb2.ListJobsRequest) -> str:
    return sha256(json.dumps([request.user, request.account]).encode()).hexdigest()[:16]


def _fill_job(told: dict[str, Any], out: job_pb2.Job) -> None:
    for name in _TOLD:
        if told.get(name):
            setattr(out, name, told[name])
    for name in NUMBERS:
        if told.get(name) is not None:
            field = job_pb2.Job.DESCRIPTOR.fields_by_name[name]
            whole = field.cpp_type == field.CPPTYPE_UINT32
            setattr(out, name, int(told[name]) if whole else told[name])


def records(jobs: Sequence[Listed], said: Sequence[Said | None], out: Any) -> None:
    """Add jobs with what was forecast of each to the repeated field ``out``."""
    for one, forecast in zip(jobs, said, strict=True):
        fill(one, forecast, out.add())
