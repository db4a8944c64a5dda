"""The result of a backtest as a JSON document. The keys are described in docs/how-to/read-a-backtest.md."""

from __future__ import annotations

from typing import Any

import numpy as np

from rt_predictor_core.numbers import plain
from rt_predictor_core.scores import (
    attained,
    cut_short,
    event_reliability,
    interval_scores,
    mean_ratio,
    point_scores,
    ran_past,
    rate,
)
from rt_predictor_training.outcome import Method, Outcome
from rt_predictor_training.report.groups import Group, by_band, by_month, by_tenth, by_tier

_POINT_ALONE = {"coverage_90": None, "width_90_h": None}


def document(outcome: Outcome) -> dict[str, Any]:
    """Return the backtest protocol's document: plain numbers, None where there is none.

    The first keys, to ``methods``, are the protocol's; what follows breaks the same jobs down.
    """
    everyone = np.arange(len(outcome))
    content: dict[str, Any] = plain(
        {
            "trace": outcome.trace,
            "jobs": outcome.jobs,
            "evaluated": len(outcome),
            "blocks": outcome.blocks,
            "seconds": outcome.seconds,
            "methods": [
                {"name": method.name, "kind": method.kind, **_scores(outcome, method, everyone)}
                for method in outcome.methods
            ],
            "leeway_s": outcome.leeway,
            "left_out": outcome.left_out,
            "with_request": int((~np.isnan(outcome.wallclock_req)).sum()),
            "tiers": _broken_down(outcome, "tier", by_tier(outcome)),
            "months": _broken_down(outcome, "month", by_month(outcome)),
            "tenths": _broken_down(outcome, "tenth", by_tenth(outcome)),
            "bands": _broken_down(outcome, "band", by_band(outcome)),
            "reliability": _reliability(outcome),
            "exceedance": event_reliability(outcome.exceeds, _exceeded(outcome)),
            "dial": _dial(outcome),
            "most_likely": _most_likely(outcome),
            "at_limit": _part(outcome, np.flatnonzero(outcome.at_limit)),
            "not_at_limit": _part(outcome, np.flatnonzero(~outcome.at_limit)),
            "ablations": [
                {"family": row.family, "mae_h": row.mae_h, "mae_h_without": row.mae_h_without}
                for row in outcome.ablations
            ],
        }
    )
    return content


def _scores(outcome: Outcome, method: Method, rows: np.ndarray) -> dict[str, Any]:
    scores: dict[str, Any] = point_scores(method.point[rows], outcome.run[rows])
    if method.interval is None:
        return scores | _POINT_ALONE
    lower, upper = method.interval[rows].T
    return scores | interval_scores(lower, upper, outcome.run[rows])


def _broken_down(outcome: Outcome, key: str, groups: list[Group]) -> list[dict[str, Any]]:
    return [{key: group.label, **_group(outcome, group.rows)} for group in groups]


def _group(outcome: Outcome, rows: np.ndarray) -> dict[str, Any]:
    scores = _scores(outcome, outcome.methods[0], rows)
    return {
        "jobs": len(rows),
        **{key: scores[key] for key in ("mae_h", "coverage_90", "width_90_h")},
        "mae_h_by_method": {
            method.name: point_scores(method.point[rows], outcome.run[rows])["mae_h"] for method in outcome.methods
        },
    }


def _part(outcome: Outcome, rows: np.ndarray) -> dict[str, Any]:
    return {"jobs": len(rows), **_scores(outcome, outcome.methods[0], rows)}


def _reliability(outcome: Outcome) -> list[dict[str, float]]:
    quantiles = outcome.methods[0].quantiles
    if quantiles is None:
        return []
    shares = attained(quantiles, outcome.run)
    return [{"level": level, "share": share} for level, share in zip(outcome.levels, shares, strict=True)]


def _exceeded(outcome: Outcome) -> np.ndarray:
    return np.asarray(ran_past(outcome.run, outcome.wallclock_req, outcome.at_limit) | outcome.at_limit)


def _dial(outcome: Outcome) -> list[dict[str, Any]]:
    return [_risk(outcome, risk, bound) for risk, bound in sorted(outcome.bounds.items())]


def _risk(outcome: Outcome, risk: float, bound: np.ndarray) -> dict[str, Any]:
    killed = cut_short(outcome.run, bound, outcome.wallclock_req, outcome.at_limit, outcome.leeway)
    over_time = [rate(killed[group.rows]) for group in by_tenth(outcome) if len(group.rows)]
    return {
        "risk": risk,
        "rate": rate(killed),
        "rate_with_limit": rate(killed | (outcome.at_limit & (outcome.run >= bound))),
        "rate_lowest_tenth": min(over_time, default=None),
        "rate_highest_tenth": max(over_time, default=None),
        "bound_to_request": mean_ratio(bound, outcome.wallclock_req),
    }


def _most_likely(outcome: Outcome) -> dict[str, float]:
    scores = point_scores(outcome.most_likely, outcome.run)
    return {key: scores[key] for key in ("median_ae_min", "mae_h")}
