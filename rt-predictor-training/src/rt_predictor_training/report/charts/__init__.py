"""The charts of a backtest, each from its document or outcome. Importing this loads the chart library."""

from __future__ import annotations

from typing import Any

from rt_predictor_training.outcome import Outcome
from rt_predictor_training.report.charts import calibration, density, errors
from rt_predictor_training.report.charts.svg import Chart


def charts(outcome: Outcome, document: dict[str, Any]) -> list[Chart]:
    """Return the charts in the order in which a person would ask: how far off, how sure, what advice, why."""
    return [
        errors.by_month(document),
        errors.by_band(document),
        errors.by_tier(document),
        density.predicted(outcome),
        density.requested(outcome),
        calibration.quantiles(document),
        calibration.by_tenth(document),
        calibration.by_month(document),
        calibration.dial(document),
        calibration.exceedance(document),
        errors.ablations(document),
    ]
