"""Estimates of run times that a scheduler can have: the user's request, the last two jobs, forecasts, the truth."""

from __future__ import annotations

import numpy as np

from rt_predictor_core.features.keys import KEYS, USER, keys_of
from rt_predictor_core.history.state import Ended, State, asked_of
from rt_predictor_training.simulation.forecasters import Forecasters
from rt_predictor_training.simulation.workload import Workload


class Known:
    """Estimates that are there from the beginning."""

    learns = False

    def __init__(self, seconds: np.ndarray) -> None:
        self._seconds = seconds

    def estimate(self, rows: slice) -> np.ndarray:
        """Return them."""
        return self._seconds[rows]

    def observe(self, happened: np.ndarray, start: np.ndarray) -> None:
        """Learn nothing."""


class LastTwo:
    """Mean of the user's last two ended jobs in whole seconds, at most the request; the request before there are two.

    Tsafrir, Etsion, Feitelson, IEEE TPDS 18(6), 2007, as Gaussier et al. run it at SC'15.
    """

    learns = True

    def __init__(self, workload: Workload) -> None:
        self._request = workload.request
        self._run = workload.run.tolist()
        _, user = np.unique(keys_of(workload.jobs.requests)[:, USER], return_inverse=True)
        self._user = user.tolist()
        self._runs: dict[int, tuple[int, int]] = {}
        self._first: dict[int, int] = {}

    def estimate(self, rows: slice) -> np.ndarray:
        """See ``replay.Estimator``."""
        seconds = self._request[rows].copy()
        for i, user in enumerate(self._user[rows]):
            if user in self._runs:
                seconds[i] = min(seconds[i], sum(self._runs[user]) // 2)
        return seconds

    def observe(self, happened: np.ndarray, start: np.ndarray) -> None:
        """See ``replay.Estimator``."""
        del start
        for job in (~happened[happened < 0]).tolist():
            user, run = self._user[job], self._run[job]
            if user in self._first:
                self._runs[user] = (self._first[user], run)
            self._first[user] = run


class Ensemble:
    """The ensemble's forecast at submit, its median or its most likely run time; the request before the first model."""

    learns = True

    def __init__(self, workload: Workload, forecasters: Forecasters, *, most_likely: bool = False) -> None:
        self._workload = workload
        self._forecasters = forecasters
        self._most_likely = most_likely
        self._asked = asked_of(workload.jobs.requests)
        self._state = State(len(workload) * len(KEYS) // 4)

    def estimate(self, rows: slice) -> np.ndarray:
        """See ``replay.Estimator``."""
        request = self._workload.request[rows]
        forecaster = self._forecasters.at(int(self._workload.submit[rows.start]))
        if forecaster is None:
            return request
        asked = self._workload.jobs.requests.take(rows)
        forecasts = forecaster.forecast(asked, self._state.read(asked))
        said = forecasts.most_likely if self._most_likely else forecasts.median
        return np.asarray(np.clip(np.rint(said), 1, request), np.int64)

    def observe(self, happened: np.ndarray, start: np.ndarray) -> None:
        """See ``replay.Estimator``."""
        for event in happened.tolist():
            if event >= 0:
                self._state.observe_start(self._asked, event, int(start[event]))
            else:
                self._state.observe_end(self._asked, ~event, self._ended(~event, int(start[~event])))

    def _ended(self, job: int, start: int) -> Ended:
        run, failed = int(self._workload.run[job]), bool(self._workload.jobs.events.failed[job])
        return Ended(start + run, float(run), failed=failed, start_seen=start)
