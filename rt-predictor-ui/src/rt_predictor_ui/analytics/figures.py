"""What the page of live figures shows, wherever it comes from; None is what is not told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

ONE_JOB: Final = "Predict"
"""The call for the forecast of one job, whose duration is promised."""

QUANTILES: Final = (0.5, 0.95, 0.99)
"""Levels of the durations that are shown."""

Durations = tuple[float | None, ...]
"""Durations of calls [s] at ``QUANTILES``."""

NO_DURATIONS: Final[Durations] = (None,) * len(QUANTILES)


@dataclass(frozen=True)
class Method:
    """Calls of one method: how many a second, and how long they take."""

    calls_per_second: float | None = None
    durations: Durations = NO_DURATIONS


@dataclass(frozen=True)
class Figures:
    """The service at one moment.

    Attributes
    ----------
    window_seconds: what rates are taken over [s]; None: they are not known yet.
    ready, workers: whether it takes calls, and with how many processes.
    methods: its calls by method.
    failed_share, cache_hits, without_history: shares of calls that failed, of jobs whose forecast was kept, and of
        forecasts without the newest reports.
    refused_per_second: calls refused for who asks or how much.
    version, profile, created_time, last_submit_time: the model that answers, when it was published, and the submit
        time of its newest job [s since 1970].
    since: what live scores are taken over, in words.
    ended: reported ends that were new; ``compared``: those that a forecast was compared with.
    mae_hours, coverage: mean error [h] and share inside the interval of those.
    drift: population stability index by feature.
    """

    window_seconds: float | None = None
    ready: bool | None = None
    workers: int | None = None
    methods: Mapping[str, Method] = field(default_factory=lambda: MappingProxyType({}))
    failed_share: float | None = None
    cache_hits: float | None = None
    without_history: float | None = None
    refused_per_second: float | None = None
    version: str = ""
    profile: str = ""
    created_time: float | None = None
    last_submit_time: float | None = None
    since: str = ""
    ended: float | None = None
    compared: float | None = None
    mae_hours: float | None = None
    coverage: float | None = None
    drift: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def calls_per_second(self) -> float | None:
        """All calls."""
        rates = [method.calls_per_second for method in self.methods.values() if method.calls_per_second is not None]
        return sum(rates) if rates else None

    @property
    def one_job(self) -> Durations:
        """How long the forecast of one job takes."""
        return self.methods.get(ONE_JOB, Method()).durations


@dataclass(frozen=True)
class Point:
    """What is drawn over time: a moment [s since 1970], calls a second, durations of the forecast of one job."""

    at: float
    calls_per_second: float | None
    durations: Durations = NO_DURATIONS


@dataclass(frozen=True)
class Look:
    """Figures, the last hour as far as it is known, and the place that told them."""

    figures: Figures
    trend: tuple[Point, ...]
    source: str
