"""The way to the service: a cached client, its health, and its failures in the words of a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import streamlit as st

from rt_predictor_client import (
    CircuitOpen,
    Client,
    Config,
    Forecast,
    ModelInfo,
    Outdated,
    RowError,
    TimedOut,
    Unreachable,
    load_config,
)
from rt_predictor_client.insight import EvaluationInfo
from rt_predictor_client.listing import JobPage
from rt_predictor_formats.errors import Problem
from rt_predictor_formats.sbatch import JobRequest

PROBE_SECONDS = 3.0
"""Longest wait for the service's state [s]: it is asked each time a page is shown."""


_KEPT_SECONDS = 3600


class Away(Problem):
    """No service is there that can answer: the same call may be answered later."""


_UNREACHABLE = "UNREACHABLE"
_NOT_STARTED = (
    "start the API with `make start`, or set `RT_PREDICTOR_ADDRESS` to where it runs and start this page again"
)
_SLOW = "try again; if that does not help, set `RT_PREDICTOR_TIMEOUT_SECONDS` to more and start this page again"
_NO_MODEL = "train one with `make train`; the service takes it within seconds"


def forecast(request: JobRequest, risk: float) -> Forecast:
    """Return the forecast of a job at an accepted risk in [0.01, 0.5]; raises Problem."""
    with failures():
        return _client().predict(request, risk)


def explained(request: JobRequest, risk: float) -> Forecast:
    """Return the forecast of a job with what moves it, which costs as much as a batch; raises Problem."""
    with failures():
        return _client().predict(request, risk, explain=True)


def forecasts(requests: Sequence[JobRequest], risk: float) -> list[Forecast]:
    """Return the forecasts of several jobs, asked in one call; raises Problem, for the first that is refused too."""
    with failures():
        answers = list(_client().predict_many(requests, risk))
    refused = next((answer for answer in answers if isinstance(answer, RowError)), None)
    if refused is not None:
        raise Problem("ROW_REFUSED", str(refused), remedy="change the request")
    return [answer for answer in answers if isinstance(answer, Forecast)]


def current_model() -> ModelInfo:
    """Return the model that answers now; raises Problem if there is none, or no service, within ``PROBE_SECONDS``."""
    with failures():
        probe = _client(PROBE_SECONDS)
        if probe.health() != "SERVING":
            raise Problem("NO_MODEL", "the service has no model yet", place=probe.address, remedy=_NO_MODEL)
        return probe.model()


def models() -> tuple[ModelInfo, ...]:
    """Return all models that the service can answer with, newest first; raises Problem."""
    with failures():
        return _client().models()


def jobs(user: str, account: str, size: int, token: str) -> JobPage:
    """Return a page of reported jobs, as ``Client.jobs_page``; raises Problem."""
    with failures():
        return _client().jobs_page(user, account, size=size, token=token)


def evaluation(version: str) -> EvaluationInfo | None:
    """Return how a model did part by part; None where that is not told. Raises Problem."""
    with failures():
        try:
            return _evaluation(load_config(), version)
        except Outdated:
            return None


def breaker_state() -> str:
    """Return the state of the circuit breaker before the service: ``closed``, ``open``, ``half-open`` or ``off``."""
    return _client().breaker_state


def new_client() -> Client:
    """Return a client that nobody else uses, for calls that are broken off by closing it; raises Problem."""
    return Client.from_config(load_config())


def _client(longest: float = float("inf")) -> Client:
    config = load_config()
    return _open(replace(config, timeout_seconds=min(config.timeout_seconds, longest)))


@st.cache_resource(show_spinner=False)
def _open(config: Config) -> Client:
    return Client.from_config(config)


@st.cache_resource(show_spinner=False, ttl=_KEPT_SECONDS, max_entries=64)
def _evaluation(config: Config, version: str) -> EvaluationInfo | None:
    """Return it, asked once: it never changes, and an open page looks again and again."""
    return _open(config).evaluation(version)


@contextmanager
def failures() -> Iterator[None]:
    """Turn remedies for a command line into such for a page; raises Away where asking again may help."""
    try:
        yield
    except TimedOut as error:
        raise Problem(error.code, error.thing, place=error.place, remedy=_SLOW) from error
    except CircuitOpen as error:
        remedy = f"{error.remedy}; if that does not help, {_NOT_STARTED}"
        raise Away(_UNREACHABLE, error.thing, place=error.place, remedy=remedy) from error
    except Unreachable as error:
        remedy = _NOT_STARTED if error.code == _UNREACHABLE else error.remedy
        raise Away(error.code, error.thing, place=error.place, remedy=remedy) from error
