"""Baselines: what a site has today, from the same events in the same order."""

from __future__ import annotations

import numpy as np
from numba import njit

from rt_predictor_core.features.history import END, SUBMIT
from rt_predictor_core.history.log import EventLog
from rt_predictor_core.models.target import SHORTEST_SECONDS, Target
from rt_predictor_core.requests import STEM, TEXTS, Requests

BASELINES = ("request", "last2", "user_mean", "last_name")
"""Names of the baselines in reports."""

_USER = TEXTS.index("user")


def baselines(requests: Requests, events: EventLog, target: Target) -> dict[str, np.ndarray]:
    """Return the baselines' run times for ``n`` jobs of a log, the same rows, float64[n] in seconds, by name.

    ``request``: the requested wallclock, the site's usual one where there is none. ``last2``: mean of the user's last
    two ended jobs (Tsafrir, Etsion, Feitelson, IEEE TPDS 18(6), 2007). ``user_mean``: mean of all the user's ended
    jobs. ``last_name``: the user's last ended job with the same name, digits ignored. All but the first are capped by
    the request, and are the request where nothing has ended yet.
    """
    kinds, order = events.events()
    user, name = (_numbered(requests.texts[:, column]) for column in (_USER, STEM))
    both = _numbered(user.astype(np.int64) * (int(name.max()) + 1) + name)
    named = requests.texts[:, STEM] != 0
    said = np.full((len(events), 3), np.nan)
    known = requests.texts[:, _USER] != 0
    _sweep(kinds, order, user, both, named, known, events.run, said)
    request = target.scale(requests.wallclock_req)
    capped = np.where(np.isnan(said), request[:, None], np.clip(said, SHORTEST_SECONDS, request[:, None]))
    return {"request": request, **{name: capped[:, i] for i, name in enumerate(BASELINES[1:])}}


def _numbered(values: np.ndarray) -> np.ndarray:
    return np.unique(values, return_inverse=True)[1].ravel()


@njit(cache=True)
def _sweep(
    kinds: np.ndarray,
    order: np.ndarray,
    user: np.ndarray,
    both: np.ndarray,
    named: np.ndarray,
    known: np.ndarray,
    run: np.ndarray,
    said: np.ndarray,
) -> None:
    """Write Last-2, the user's mean and the name's last run time into ``said``, float64[n, 3], NaN where unknown."""
    users = np.zeros((user.max() + 1, 4))  # last, previous, sum, count
    names = np.full(both.max() + 1, np.nan)
    for e in range(len(order)):
        j = order[e]
        mine = users[user[j]]
        if not known[j]:
            continue
        if kinds[e] == END:
            mine[1], mine[0] = mine[0], run[j]
            mine[2] += run[j]
            mine[3] += 1.0
            if named[j]:
                names[both[j]] = run[j]
        elif kinds[e] == SUBMIT and mine[3] > 0.0:
            said[j, 0] = mine[0] if mine[3] == 1.0 else (mine[0] + mine[1]) / 2.0
            said[j, 1] = mine[2] / mine[3]
            said[j, 2] = names[both[j]]
