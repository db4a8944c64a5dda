"""How the model that answers was trained, as metrics: training itself ends before anyone could scrape it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rt_predictor_api import metrics
from rt_predictor_api.metrics import Metrics
from rt_predictor_core.artifact.manifest import Manifest

HOUR = 3_600.0
MEGABYTE = 1 << 20


def tell(counted: Metrics, manifest: Manifest) -> None:
    """Set the metrics of training from a manifest; what it does not know is nothing."""
    fold = manifest.fold.tiers if manifest.fold else ()
    told: dict[metrics.Metric, dict[tuple[str, ...], float]] = {
        metrics.TRAINING_SECONDS: {(stage,): seconds for stage, seconds in manifest.stage_seconds.items()},
        metrics.TRAINING_MEMORY: {(): manifest.peak_memory_mb * MEGABYTE},
        metrics.TRAINING_JOBS: {("accepted",): manifest.jobs, ("rejected",): manifest.rejected},
        metrics.TRAINING_ERROR: dict(_measured(manifest.scores, "name", "mae_h", HOUR)),
        metrics.TRAINING_COVERAGE: dict(_measured(manifest.scores, "name", "coverage_90")),
        metrics.TRAINING_WEIGHT: {(member.name,): member.weight for member in manifest.members},
        metrics.TRAINING_TIER_JOBS: {(tier.tier,): tier.jobs for tier in fold},
        metrics.TRAINING_TIER_ERROR: {(tier.tier,): tier.mae_h * HOUR for tier in fold if tier.jobs},
        metrics.TRAINING_KILLED: dict(_measured(manifest.dial, "risk", "measured_rate")),
        metrics.TRAINING_WALLCLOCK: dict(_measured(manifest.dial, "risk", "bound_to_request")),
    }
    for metric, values in told.items():
        counted.replace(metric, values)


def _measured(
    rows: Iterable[Mapping[str, Any]], label: str, name: str, unit: float = 1.0
) -> Iterator[tuple[tuple[str, ...], float]]:
    """Yield one measure of each row that has it, by one label."""
    for row in rows:
        if row.get(name) is not None:
            yield (str(row[label]),), row[name] * unit
