"""Baselines: what a site has today, from the same history that the models see."""

from __future__ import annotations

import numpy as np

from rt_predictor_core.features import history
from rt_predictor_core.features.keys import KEYS, USER
from rt_predictor_core.features.table import HistoryRows
from rt_predictor_core.models.target import SHORTEST_SECONDS, Target
from rt_predictor_core.requests import Requests

_FIRST = USER * len(history.PER_KEY)


def _user(rows: HistoryRows, feature: str) -> np.ndarray:
    return rows.features[:, _FIRST + history.PER_KEY.index(feature)].astype(np.float64)


def baselines(requests: Requests, rows: HistoryRows, target: Target) -> dict[str, np.ndarray]:
    """Return the baselines' run times, float64[n] in seconds, by name.

    ``request``: the requested wallclock. ``last2``: mean of the user's last two ended jobs, capped by the request
    (Tsafrir, Etsion, Feitelson, IEEE TPDS 18(6), 2007), the request where there are none. ``user_recent``: the
    user's recency-weighted geometric mean, capped likewise.
    """
    assert KEYS[USER] == "user"  # noqa: S101 - the columns below are the user's own
    request = target.scale(requests.wallclock_req)
    last, previous = np.expm1(_user(rows, "last_log")), np.expm1(_user(rows, "previous_log"))
    last2 = np.where(np.isnan(previous), last, (last + previous) / 2)
    recent = np.expm1(_user(rows, "mean_log"))
    return {
        "request": request,
        "last2": _capped(last2, request),
        "user_recent": _capped(recent, request),
    }


def _capped(run: np.ndarray, request: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(run), request, np.clip(run, SHORTEST_SECONDS, request))
