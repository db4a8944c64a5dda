"""What the gate tells of itself, for the scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from rt_predictor_api.metrics import GATE_CROWDED, GATE_REFUSED, GATE_RESTARTS


@dataclass(frozen=True)
class Figures:
    """Calls refused, estimated; whether few are let in; how often nginx was started anew. Nothing without a gate."""

    refused: float = 0.0
    crowded: bool = False
    restarts: int = 0


class GateCollector(Collector):
    """Tells the figures of the moment, which ``told`` returns."""

    def __init__(self, told: Callable[[], Figures] = Figures) -> None:
        self._told = told

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        figures = self._told()
        yield CounterMetricFamily(GATE_REFUSED.name, GATE_REFUSED.help, figures.refused)
        yield CounterMetricFamily(GATE_RESTARTS.name, GATE_RESTARTS.help, figures.restarts)
        yield GaugeMetricFamily(GATE_CROWDED.name, GATE_CROWDED.help, float(figures.crowded))
