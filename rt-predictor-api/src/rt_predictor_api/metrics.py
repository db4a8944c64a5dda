"""Every metric of the service, in one table; their names and labels are an interface that dashboards build on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import Any, Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from rt_predictor_core.history.events import Kind

CALL_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
ERROR_SECONDS = (60, 300, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 57_600, 115_200, 230_400)


GaugeMode = Literal["max", "livesum", "livemin", "livemax", "livemostrecent"]


@dataclass(frozen=True)
class Metric:
    """One metric: name with unit suffix, help, label names; ``buckets`` make it a histogram.

    ``of_all`` says what several processes tell together of a gauge; counters and histograms are added up.
    """

    name: str
    kind: type[Counter | Gauge | Histogram]
    help: str
    labels: tuple[str, ...] = ()
    buckets: Sequence[float] = ()
    of_all: GaugeMode = "max"

    def build(self, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
        """Return the collector, registered."""
        if self.buckets:
            return Histogram(self.name, self.help, self.labels, registry=registry, buckets=self.buckets)
        if self.kind is Gauge:
            return Gauge(self.name, self.help, self.labels, registry=registry, multiprocess_mode=self.of_all)
        return self.kind(self.name, self.help, self.labels, registry=registry)


REQUESTS = Metric("rtpredictor_requests_total", Counter, "Calls by method and gRPC status.", ("rpc", "code"))
REQUEST_SECONDS = Metric(
    "rtpredictor_request_duration_seconds",
    Histogram,
    "Time from the start of a call's handler to its end; of streams, the whole stream.",
    ("rpc",),
    CALL_SECONDS,
)
IN_FLIGHT = Metric(
    "rtpredictor_requests_in_flight", Gauge, "Calls that are being answered.", ("rpc",), of_all="livesum"
)
FORECASTS = Metric("rtpredictor_forecasts_total", Counter, "Jobs forecast, by tier of history.", ("tier",))
DEGRADED = Metric(
    "rtpredictor_degraded_forecasts_total", Counter, "Forecasts worse than they could be, by reason.", ("reason",)
)
FORECAST_CACHE = Metric(
    "rtpredictor_forecast_cache_total",
    Counter,
    "Single jobs asked for, by whether their forecast was kept.",
    ("outcome",),
)
ROWS_REJECTED = Metric(
    "rtpredictor_rows_rejected_total", Counter, "Rows of batches and streams that broke a rule.", ("rpc",)
)
READY = Metric("rtpredictor_ready", Gauge, "1 while a model is loaded and the service takes calls.", of_all="livemin")
MODEL_INFO = Metric(
    "rtpredictor_model_info",
    Gauge,
    "1 for the model that answers, 0 for former ones.",
    ("version", "profile"),
    of_all="livemax",
)
MODEL_CREATED = Metric(
    "rtpredictor_model_created_timestamp_seconds",
    Gauge,
    "When the model that answers was published.",
    of_all="livemostrecent",
)
MODEL_LAST_SUBMIT = Metric(
    "rtpredictor_model_last_submit_timestamp_seconds",
    Gauge,
    "Submit time of the newest job that the model knows.",
    of_all="livemostrecent",
)
TRAINING_SECONDS = Metric(
    "rtpredictor_training_duration_seconds",
    Gauge,
    "Duration of each stage of the training of the model that answers.",
    ("stage",),
    of_all="livemostrecent",
)
TRAINING_MEMORY = Metric(
    "rtpredictor_training_peak_memory_bytes", Gauge, "Most memory that its training used.", of_all="livemostrecent"
)
TRAINING_JOBS = Metric(
    "rtpredictor_training_jobs",
    Gauge,
    "Rows of the log that it was trained on, accepted and rejected.",
    ("outcome",),
    of_all="livemostrecent",
)
TRAINING_ERROR = Metric(
    "rtpredictor_training_absolute_error_seconds",
    Gauge,
    "Mean absolute error on the newest jobs of its log, of the ensemble, its members and what a site has today.",
    ("method",),
    of_all="livemostrecent",
)
TRAINING_COVERAGE = Metric(
    "rtpredictor_training_coverage_ratio",
    Gauge,
    "Share of those jobs that ran for a time inside the 90 % interval.",
    ("method",),
    of_all="livemostrecent",
)
TRAINING_WEIGHT = Metric(
    "rtpredictor_training_weight_ratio",
    Gauge,
    "Part of each member in the median.",
    ("member",),
    of_all="livemostrecent",
)
TRAINING_TIER_JOBS = Metric(
    "rtpredictor_training_tier_jobs",
    Gauge,
    "Those jobs by what was known of their users.",
    ("tier",),
    of_all="livemostrecent",
)
TRAINING_TIER_ERROR = Metric(
    "rtpredictor_training_tier_absolute_error_seconds",
    Gauge,
    "Mean absolute error of the ensemble on the jobs of a tier of history.",
    ("tier",),
    of_all="livemostrecent",
)
TRAINING_KILLED = Metric(
    "rtpredictor_training_killed_ratio",
    Gauge,
    "Share of those jobs that the recommended wallclock would have killed, by the accepted risk.",
    ("risk",),
    of_all="livemostrecent",
)
TRAINING_WALLCLOCK = Metric(
    "rtpredictor_training_wallclock_ratio",
    Gauge,
    "Mean of recommended over requested wallclock on those jobs, by the accepted risk.",
    ("risk",),
    of_all="livemostrecent",
)
MODEL_LOADS = Metric("rtpredictor_model_loads_total", Counter, "Artifacts adopted or refused.", ("outcome",))
CALLS_REFUSED = Metric(
    "rtpredictor_calls_refused_total", Counter, "Calls refused for who asks or how much, by reason.", ("reason",)
)
SECURITY_RELOADS = Metric(
    "rtpredictor_security_reloads_total",
    Counter,
    "Changes of the certificate or the access file, taken or refused.",
    ("file", "outcome"),
)
JOURNAL_EVENTS = Metric("rtpredictor_journal_events", Gauge, "Reported events on disk.", of_all="livemax")
REPORTS = Metric("rtpredictor_reported_events_total", Counter, "Reported events by outcome.", ("outcome",))
LEARNED = Metric("rtpredictor_learned_events_total", Counter, "Reported events that were new, by kind.", ("kind",))
LIVE_ERROR = Metric(
    "rtpredictor_live_absolute_error_seconds",
    Histogram,
    "Difference between a reported run time and its forecast median. forecast=earlier: made before the end was known "
    "(asked for, or when the submission or the start was reported); forecast=at_end: made when the end was reported.",
    ("forecast",),
    ERROR_SECONDS,
)
LIVE_ENDS = Metric(
    "rtpredictor_live_ends_total",
    Counter,
    "Reported ends by whether the run time lay below, inside or above the forecast interval.",
    ("forecast", "interval"),
)
WORKERS = Metric("rtpredictor_workers", Gauge, "Processes that answer calls.")
WORKER_RESTARTS = Metric("rtpredictor_worker_restarts_total", Counter, "Processes started in place of dead ones.")

FEATURE_DRIFT = Metric(
    "rtpredictor_feature_drift",
    Gauge,
    "Population stability index of a feature, of the jobs asked about within a week against those of training.",
    ("feature",),
)

TRAINING = (
    TRAINING_SECONDS,
    TRAINING_MEMORY,
    TRAINING_JOBS,
    TRAINING_ERROR,
    TRAINING_COVERAGE,
    TRAINING_WEIGHT,
    TRAINING_TIER_JOBS,
    TRAINING_TIER_ERROR,
    TRAINING_KILLED,
    TRAINING_WALLCLOCK,
)
"""What is told of the training of the model that answers, see ``training``."""

SUPERVISED = (WORKERS, WORKER_RESTARTS)
"""What the process knows that starts the others."""

OWN = (
    REQUESTS,
    REQUEST_SECONDS,
    IN_FLIGHT,
    FORECASTS,
    DEGRADED,
    FORECAST_CACHE,
    ROWS_REJECTED,
    READY,
    MODEL_INFO,
    MODEL_CREATED,
    MODEL_LAST_SUBMIT,
    MODEL_LOADS,
    CALLS_REFUSED,
    SECURITY_RELOADS,
    JOURNAL_EVENTS,
    REPORTS,
    LEARNED,
    LIVE_ERROR,
    LIVE_ENDS,
    *TRAINING,
)
"""What each process counts that answers calls."""

COUNTED = OWN + SUPERVISED
"""What is counted as it happens."""

COMPUTED = (FEATURE_DRIFT,)
"""What is computed when it is asked for, from what all processes have counted."""

TABLE = COUNTED + COMPUTED
"""All of them. Labels never hold what a caller sent."""

KNOWN_LABELS: dict[Metric, list[tuple[str, ...]]] = {
    DEGRADED: [("history_unavailable",), ("no_wallclock_requested",)],
    FORECAST_CACHE: [("hit",), ("miss",)],
    MODEL_LOADS: [("adopted",), ("refused",)],
    CALLS_REFUSED: [
        (reason,)
        for reason in (
            *("token_missing", "token_unknown", "scope_missing"),
            *("rate_exceeded", "message_late", "overloaded", "too_many_streams"),
        )
    ],
    SECURITY_RELOADS: [(file, outcome) for file in ("certificate", "access file") for outcome in ("taken", "refused")],
    REPORTS: [("accepted",), ("duplicate",), ("rejected",)],
    LEARNED: [(kind.value,) for kind in Kind],
    LIVE_ENDS: [(forecast, side) for forecast in ("earlier", "at_end") for side in ("below", "inside", "above")],
    LIVE_ERROR: [("earlier",), ("at_end",)],
}
"""Label values that exist from the start, so that a rate over them begins at 0 instead of nothing."""


# a second series for each counter, which Prometheus does not need
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no type here


class Metrics:
    """A table of metrics, ready to be counted in and scraped; safe for several threads.

    Attributes
    ----------
    registry: what the scrape endpoint serves, with the process's own figures.
    """

    def __init__(self, table: Sequence[Metric] = COUNTED, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or _process_registry()
        self._collectors = {metric.name: metric.build(self.registry) for metric in table}
        # looking up a child by its labels costs four times as much as counting in it
        self._children: dict[tuple[str, ...], Any] = {}
        for metric in set(table) & set(KNOWN_LABELS):
            for labels in KNOWN_LABELS[metric]:
                self._of(metric, labels)

    def count(self, metric: Metric, *labels: str, by: float = 1) -> None:
        """Raise a counter or gauge."""
        self._of(metric, labels).inc(by)

    def set(self, metric: Metric, *labels: str, to: float) -> None:
        """Set a gauge; of a labelled one, all others become 0."""
        gauge = self._of(metric, labels)
        for key, child in list(self._children.items()):
            if key[0] == metric.name:
                child.set(to if child is gauge else 0.0)

    def replace(self, metric: Metric, values: Mapping[tuple[str, ...], float]) -> None:
        """Set a gauge for each combination of labels; those that were set before and are not named become nothing."""
        for labels, value in values.items():
            self._of(metric, labels).set(value)
        for key, child in list(self._children.items()):
            if key[0] == metric.name and key[1:] not in values:
                child.set(nan)

    def observe(self, metric: Metric, *labels: str, values: Iterable[float]) -> None:
        """Add values to a histogram."""
        histogram = self._of(metric, labels)
        for value in values:
            histogram.observe(value)

    def _of(self, metric: Metric, labels: tuple[str, ...]) -> Any:
        """Return the counter, gauge or histogram; which it is is not asked, as that costs as much as counting."""
        key = (metric.name, *labels)
        child = self._children.get(key)
        if child is None:
            collector = self._collectors[metric.name]
            child = self._children[key] = collector.labels(*labels) if labels else collector
        return child


def _process_registry() -> CollectorRegistry:
    """Return a registry that knows this process."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry
