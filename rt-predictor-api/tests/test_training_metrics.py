"""What the metrics tell of the training of the model that answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import isnan
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from rt_predictor_api import metrics, training
from rt_predictor_api.metrics import Metrics
from rt_predictor_core.artifact.manifest import Manifest


def told(scrape: str, metric: metrics.Metric) -> dict[str, float]:
    """Return the samples of a metric by their only label."""
    families = {family.name: family for family in text_string_to_metric_families(scrape)}
    return {"".join(sample.labels.values()): sample.value for sample in families[metric.name].samples}


@pytest.mark.timeout(600)
def test_the_figures_are_those_of_the_newest_model(
    served: Any, models: Path, newer: Path, publish: Any, until: Callable[..., Any]
) -> None:
    with served(watch_interval_seconds=0.05) as client:
        (folder,) = models.glob("*")
        for manifest in (Manifest.read(folder), Manifest.read(newer)):
            if manifest.version == newer.name:
                publish(newer, models)
            series = f'rtpredictor_model_info{{profile="quick",version="{manifest.version}"}}'
            until(lambda series=series: client.value(series) == 1, "the model")
            scrape = client.scrape()
            assert told(scrape, metrics.TRAINING_SECONDS) == pytest.approx(manifest.stage_seconds)
            assert told(scrape, metrics.TRAINING_JOBS) == {"accepted": manifest.jobs, "rejected": manifest.rejected}
            ensemble = manifest.scores[0]
            assert told(scrape, metrics.TRAINING_ERROR)["ensemble"] == pytest.approx(ensemble["mae_h"] * 3_600)
            assert told(scrape, metrics.TRAINING_COVERAGE)["ensemble"] == pytest.approx(ensemble["coverage_90"])
            assert sum(told(scrape, metrics.TRAINING_WEIGHT).values()) == pytest.approx(1.0)
            assert manifest.fold
            assert sum(told(scrape, metrics.TRAINING_TIER_JOBS).values()) == manifest.fold.jobs
            assert told(scrape, metrics.TRAINING_KILLED).keys() == {str(row["risk"]) for row in manifest.dial}


def test_what_a_newer_model_does_not_know_is_nothing(trained: Path) -> None:
    counted = Metrics()
    manifest = Manifest.read(trained)
    assert manifest.fold
    training.tell(counted, manifest)
    poorer = replace(manifest, fold=None, dial=(), scores=({"name": "ensemble", "mae_h": 1.0, "coverage_90": None},))
    training.tell(counted, poorer)

    def value(metric: metrics.Metric, **labels: str) -> float:
        found = counted.registry.get_sample_value(metric.name, labels)
        assert found is not None
        return found

    assert value(metrics.TRAINING_ERROR, method="ensemble") == 3_600
    assert isnan(value(metrics.TRAINING_ERROR, method="request"))
    assert isnan(value(metrics.TRAINING_COVERAGE, method="ensemble"))
    assert isnan(value(metrics.TRAINING_TIER_JOBS, tier=manifest.fold.tiers[0].tier))
    assert value(metrics.TRAINING_JOBS, outcome="accepted") == manifest.jobs
