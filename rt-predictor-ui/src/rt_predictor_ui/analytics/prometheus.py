"""Figures from Prometheus, by the rules of ``monitoring/rules``: one query for now, one for the last hour."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from time import time
from typing import Any, Final

from rt_predictor_formats.times import HOUR, MINUTE
from rt_predictor_ui.analytics.fetch import NotTold, fetch
from rt_predictor_ui.analytics.figures import ONE_JOB, QUANTILES, Figures, Look, Method, Point

WINDOW_SECONDS: Final = 5 * MINUTE
"""What the rules take rates over [s]."""

STEP_SECONDS: Final = 30
"""How far the points of the last hour lie apart [s]."""

_P: Final = {f"p{100 * level:.0f}": level for level in QUANTILES}
_DURATION: Final = "job_rpc:rtpredictor_request_duration_seconds"

NOW: Final[Mapping[str, str]] = {
    "ready": "min(rtpredictor_ready{J})",
    "workers": "sum(rtpredictor_workers{J})",
    "calls": "job_rpc:rtpredictor_requests:rate5m{J}",
    **{name: f"{_DURATION}:{name}_rate5m{{J}}" for name in _P},
    "failed": "job:rtpredictor_requests_failed:ratio_rate5m{J}",
    "hits": "job:rtpredictor_forecast_cache_hits:ratio_rate5m{J}",
    "without_history": 'sum(rate(rtpredictor_degraded_forecasts_total{J,reason="history_unavailable"}[5m]))'
    " / sum(job_tier:rtpredictor_forecasts:rate5m{J})",
    "refused": "sum(job_reason:rtpredictor_calls_refused:rate5m{J})",
    "model": "max by (version, profile) (rtpredictor_model_info{J} == 1)",
    "created": "max(rtpredictor_model_created_timestamp_seconds{J} > 0)",
    "newest": "max(rtpredictor_model_last_submit_timestamp_seconds{J} > 0)",
    "ended": 'sum(increase(rtpredictor_learned_events_total{J,kind="ended"}[1d]))',
    "compared": "job:rtpredictor_live_ends:increase1d{J}",
    "error": "sum(increase(rtpredictor_live_absolute_error_seconds_sum{J}[1d]))"
    " / sum(increase(rtpredictor_live_absolute_error_seconds_count{J}[1d]))",
    "coverage": "job:rtpredictor_live_ends_inside:ratio_increase1d{J}",
    "drift": "max by (feature) (rtpredictor_feature_drift{J})",
}
"""What is asked for each figure; ``{J}`` and ``{J,`` are the job that Prometheus scrapes the service under."""

TREND: Final[Mapping[str, str]] = {
    "calls": "sum(job_rpc:rtpredictor_requests:rate5m{J})",
    **{name: f'{_DURATION}:{name}_rate5m{{J,rpc="{ONE_JOB}"}}' for name in _P},
}
"""What is asked for the last hour."""

_FIGURE: Final = "figure"
_REMEDY: Final = "see that Prometheus runs, and that `RT_PREDICTOR_PROMETHEUS_URL` says where"

Samples = dict[str, list[tuple[dict[str, str], Any]]]


def look(url: str, job: str) -> Look:
    """Return the figures of the service that Prometheus scrapes under the name ``job``; raises NotTold."""
    now = time()
    base = f"{url.rstrip('/')}/api/v1"
    found = _ask(f"{base}/query", {"query": together(NOW, job)}, "value")
    asked = {
        "query": together(TREND, job),
        "start": f"{now - HOUR:.0f}",
        "end": f"{now:.0f}",
        "step": str(STEP_SECONDS),
    }
    return Look(figures(found), trend(_ask(f"{base}/query_range", asked, "values")), url)


def together(queries: Mapping[str, str], job: str) -> str:
    """Return one query that answers several, each sample labelled with the figure that it is of."""
    only = f"{{job={json.dumps(job)}"  # Prometheus's strings are those of Go, of which JSON's are a part
    parts = (
        f'label_replace({query.replace("{J", only)}, "{_FIGURE}", "{name}", "", "")' for name, query in queries.items()
    )
    return "\nor ".join(parts)


def figures(found: Samples) -> Figures:
    """Return the figures of an answer."""
    error, ready, workers = (_first(found, name) for name in ("error", "ready", "workers"))
    calls = {labels["rpc"]: value for labels, value in found.get("calls", ())}
    model = next((labels for labels, _ in found.get("model", ())), {})
    methods = {
        rpc: Method(rate, tuple(_first(found, name, rpc=rpc) for name in _P)) for rpc, rate in sorted(calls.items())
    }
    return Figures(
        window_seconds=WINDOW_SECONDS if calls else None,
        ready=None if ready is None else ready > 0,
        workers=int(workers) if workers else None,
        methods=methods,
        failed_share=_first(found, "failed"),
        cache_hits=_first(found, "hits"),
        without_history=_first(found, "without_history"),
        refused_per_second=_first(found, "refused"),
        version=model.get("version", ""),
        profile=model.get("profile", ""),
        created_time=_first(found, "created"),
        last_submit_time=_first(found, "newest"),
        since="in the last day",
        ended=_first(found, "ended"),
        compared=_first(found, "compared"),
        mae_hours=None if error is None else error / HOUR,
        coverage=_first(found, "coverage"),
        drift={labels["feature"]: value for labels, value in found.get("drift", ())},
    )


def trend(found: Samples) -> tuple[Point, ...]:
    """Return the points of an answer, in order."""
    by_time: dict[float, dict[str, float]] = {}
    for name, series in found.items():
        for _, points in series:
            for at, value in points:
                by_time.setdefault(at, {})[name] = value
    return tuple(
        Point(at, values.get("calls"), tuple(values.get(name) for name in _P)) for at, values in sorted(by_time.items())
    )


def _first(found: Samples, name: str, **labels: str) -> float | None:
    wanted = labels.items()
    return next((value for told, value in found.get(name, ()) if wanted <= told.items()), None)


def _ask(url: str, data: Mapping[str, str], kind: str) -> Samples:
    """Return the samples of an answer by figure; ``kind`` is ``value`` or, over time, ``values``. Raises NotTold."""
    answer = fetch(url, _REMEDY, data)
    try:
        series = answer.json()["data"]["result"]
        samples: Samples = {}
        for one in series:
            labels = dict(one["metric"])
            points = [one["value"]] if kind == "value" else one["values"]
            numbers = [(at, number) for at, text in points if math.isfinite(number := float(text))]
            if numbers:
                told = numbers[0][1] if kind == "value" else numbers
                samples.setdefault(labels.pop(_FIGURE, ""), []).append((labels, told))
    except (ValueError, LookupError, TypeError):
        raise NotTold("METRICS_UNREADABLE", "this is not Prometheus's answer", place=url, remedy=_REMEDY) from None
    return samples
