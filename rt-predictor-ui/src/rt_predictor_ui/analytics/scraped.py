"""Figures from the service's own metrics: rates are the difference of two readings."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from time import time
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from rt_predictor_formats.times import HOUR
from rt_predictor_ui.analytics.fetch import NotTold, fetch
from rt_predictor_ui.analytics.figures import QUANTILES, Durations, Figures, Look, Method, Point

LEAST_SECONDS: Final = 4.0
"""How old a reading must be before the next [s], however many pages are open."""

WINDOW_SECONDS: Final = 300.0
"""What rates are taken over at the most [s], as Prometheus's rules do."""

_POINTS: Final = round(HOUR / LEAST_SECONDS)
_REMEDY: Final = (
    "see that the API runs, and that `RT_PREDICTOR_METRICS_URL` says where it tells its metrics; "
    "or set `RT_PREDICTOR_PROMETHEUS_URL`"
)
_FAILED: Final = frozenset({"INTERNAL", "UNKNOWN", "UNAVAILABLE", "DATA_LOSS"})
_NO_ROOM: Final = frozenset({"overloaded", "too_many_streams"})

Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Reading:
    """All samples of one scrape, by name and labels, and when they were read [s since 1970]."""

    at: float
    samples: Mapping[str, Mapping[Labels, float]]

    @classmethod
    def of_text(cls, text: str, at: float) -> Reading:
        """Return what a scrape says; raises ValueError for what is no exposition of metrics."""
        samples: dict[str, dict[Labels, float]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                samples.setdefault(sample.name, {})[frozenset(sample.labels.items())] = sample.value
        return cls(at, samples)

    def where(self, name: str, **labels: str) -> Iterator[tuple[dict[str, str], float]]:
        """Yield labels and value of the samples of a name that have these labels."""
        wanted = set(labels.items())
        for found, value in self.samples.get(name, {}).items():
            if wanted <= found:
                yield dict(found), value

    def total(self, name: str, **labels: str) -> float | None:
        """Return the sum of such samples; None if there are none."""
        values = [value for _, value in self.where(name, **labels)]
        return sum(values) if values else None


@dataclass(frozen=True)
class Span:
    """Two readings, and what happened between them; ``old`` may be the service's start, with nothing in it."""

    old: Reading
    new: Reading

    @cached_property
    def seconds(self) -> float:
        """How long it is [s]."""
        return self.new.at - self.old.at

    @property
    def restarted(self) -> bool:
        """Whether a counter fell: another process tells them now."""
        before, after = (one.total("rtpredictor_requests_total") or 0.0 for one in (self.old, self.new))
        return after < before

    def grown(self, name: str, **labels: str) -> float | None:
        """Return by how much the sum of such samples grew; None if there are none."""
        after = self.new.total(name, **labels)
        return None if after is None else max(0.0, after - (self.old.total(name, **labels) or 0.0))

    def among(self, name: str, label: str, wanted: Iterable[str]) -> float:
        """Return by how much such samples grew whose label has one of the values."""
        return sum(self.grown(name, **{label: value}) or 0.0 for value in wanted)

    def durations(self, rpc: str) -> Durations:
        """Return how long calls of a method took [s] at ``QUANTILES``."""
        name = "rtpredictor_request_duration_seconds_bucket"
        bounds = sorted({float(labels["le"]) for labels, _ in self.new.where(name, rpc=rpc)})
        texts = {float(labels["le"]): labels["le"] for labels, _ in self.new.where(name, rpc=rpc)}
        counts = [(bound, self.grown(name, rpc=rpc, le=texts[bound]) or 0.0) for bound in bounds]
        return tuple(quantile(level, counts) for level in QUANTILES)


def quantile(level: float, counts: list[tuple[float, float]]) -> float | None:
    """Return a quantile of a histogram of cumulative ``counts`` by bound, between bounds on a straight line.

    As Prometheus's ``histogram_quantile``: from 0 up, and for what lies above the last finite bound, that bound.
    """
    if not counts or counts[-1][1] <= 0:
        return None
    rank, low, below = level * counts[-1][1], 0.0, 0.0
    for bound, count in counts:
        if count >= rank:
            if bound == float("inf"):
                return low
            return bound if count == below else low + (bound - low) * (rank - below) / (count - below)
        low, below = bound, count
    return low


def figures(span: Span) -> Figures:
    """Return what two readings tell; of ``span.old`` without samples, gauges and totals alone have a meaning."""
    new, rated = span.new, bool(span.old.samples)
    requests = span.grown("rtpredictor_requests_total")
    forecasts = span.grown("rtpredictor_forecasts_total")
    asked = span.grown("rtpredictor_forecast_cache_total")
    failed = span.among("rtpredictor_requests_total", "code", _FAILED)
    failed += span.among("rtpredictor_calls_refused_total", "reason", _NO_ROOM)
    refused = span.grown("rtpredictor_calls_refused_total")
    ready, workers = new.total("rtpredictor_ready"), new.total("rtpredictor_workers")
    model = next((labels for labels, one in new.where("rtpredictor_model_info") if one == 1), {})
    compared = new.total("rtpredictor_live_absolute_error_seconds_count")
    error = _ratio(new.total("rtpredictor_live_absolute_error_seconds_sum"), compared)
    return Figures(
        window_seconds=span.seconds if rated else None,
        ready=None if ready is None else ready > 0,
        workers=int(workers) if workers else None,
        methods=_methods(span) if rated else {},
        failed_share=_ratio(failed, requests) if rated else None,
        cache_hits=_ratio(span.grown("rtpredictor_forecast_cache_total", outcome="hit"), asked) if rated else None,
        without_history=_ratio(
            span.grown("rtpredictor_degraded_forecasts_total", reason="history_unavailable"), forecasts
        )
        if rated
        else None,
        refused_per_second=refused / span.seconds if rated and refused is not None else None,
        version=model.get("version", ""),
        profile=model.get("profile", ""),
        created_time=new.total("rtpredictor_model_created_timestamp_seconds") or None,
        last_submit_time=new.total("rtpredictor_model_last_submit_timestamp_seconds") or None,
        since="since the service started",
        ended=new.total("rtpredictor_learned_events_total", kind="ended"),
        compared=compared,
        mae_hours=None if error is None else error / HOUR,
        coverage=_ratio(new.total("rtpredictor_live_ends_total", interval="inside"), compared),
        drift={labels["feature"]: value for labels, value in new.where("rtpredictor_feature_drift")},
    )


def _methods(span: Span) -> dict[str, Method]:
    names = sorted({labels["rpc"] for labels, _ in span.new.where("rtpredictor_requests_total")})
    grown = {name: span.grown("rtpredictor_requests_total", rpc=name) or 0.0 for name in names}
    return {name: Method(grown[name] / span.seconds, span.durations(name)) for name in names}


def _ratio(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else part / whole


class Scraper:
    """Reads one service's metrics for all open pages; safe for several threads."""

    def __init__(self, url: str, ca_file: str | None = None, now: Callable[[], float] = time) -> None:
        self._url, self._ca_file, self._now = url, ca_file, now
        self._lock = Lock()
        self._readings: deque[Reading] = deque()
        self._trend: deque[Point] = deque(maxlen=_POINTS)

    def look(self) -> Look:
        """Return the figures, read anew if the last reading is not new; raises NotTold."""
        with self._lock:
            if not self._readings or self._now() - self._readings[-1].at >= LEAST_SECONDS:
                self._read()
            first, last = self._readings[0], self._readings[-1]
            span = Span(first if first is not last else Reading(last.at, {}), last)
            return Look(figures(span), tuple(self._trend), self._url)

    def _read(self) -> None:
        text = fetch(self._url, _REMEDY, ca_file=self._ca_file).text
        try:
            reading = Reading.of_text(text, self._now())
        except ValueError:
            raise NotTold("METRICS_UNREADABLE", "these are no metrics", place=self._url, remedy=_REMEDY) from None
        self._forget(reading)
        if self._readings:
            now = figures(Span(self._readings[-1], reading))
            self._trend.append(Point(reading.at, now.calls_per_second, now.one_job))
        self._readings.append(reading)

    def _forget(self, reading: Reading) -> None:
        """Give up what is too old to tell a rate, and all of a service that was started anew since."""
        if self._readings and Span(self._readings[-1], reading).restarted:
            self._readings.clear()
        while self._readings and reading.at - self._readings[0].at > WINDOW_SECONDS:
            self._readings.popleft()
        while self._trend and reading.at - self._trend[0].at > HOUR:
            self._trend.popleft()
