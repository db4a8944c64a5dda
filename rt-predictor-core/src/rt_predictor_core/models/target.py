"""The target: run time as a share of what was requested, and back to seconds.

Models learn ``y = (run time / requested wallclock) ** power``. Quantiles survive any rising transformation, so the
power only decides how much a loss cares for short jobs; 1 weighs an error in proportion to the request.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np
from numba import njit

SHORTEST_SECONDS = 1.0
"""No forecast is shorter [s]."""


LEAST_POWER = 0.01
"""Smaller powers would leave nothing of the differences between run times."""


@dataclass(frozen=True)
class Target:
    """How run times become targets.

    Attributes
    ----------
    power: exponent, in (0, 1].
    usual_wallclock: [s], stands in where a request gives no wallclock.
    grace: [s], how long the scheduler lets jobs run past their request at most; infinite where it does not enforce it.
    leeway: [s], for how much longer than its wallclock a job that is killed is usually on record; 0 where none is.
    """

    power: float
    usual_wallclock: float
    grace: float
    leeway: float = 0.0

    def check(self) -> None:
        """Do nothing for parameters that training may have chosen; raise ValueError else."""
        power = LEAST_POWER <= self.power <= 1.0
        if not (
            power and SHORTEST_SECONDS <= self.usual_wallclock < inf and self.grace >= 0.0 and 0.0 <= self.leeway < inf
        ):
            raise ValueError(f"target: {self} does not fit")

    def scale(self, wallclock_req: np.ndarray) -> np.ndarray:
        """Return what run times are divided by, float64[n] in seconds, for requests float64[n] with NaN."""
        return np.asarray(_known(np.ascontiguousarray(wallclock_req, np.float64), self.usual_wallclock, 0.0))

    def forward(self, run: np.ndarray, wallclock_req: np.ndarray) -> np.ndarray:
        """Return targets float64[n] for run times float64[n] in seconds."""
        return np.asarray((run / self.scale(wallclock_req)) ** self.power)

    def backward(self, y: np.ndarray, wallclock_req: np.ndarray) -> np.ndarray:
        """Return run times [s] for targets float64[n, levels], not yet held to the limit."""
        wallclock = np.ascontiguousarray(wallclock_req, np.float64)
        return np.asarray(seconds(np.ascontiguousarray(y, np.float64), wallclock, self.usual_wallclock, self.power))

    def limit(self, wallclock_req: np.ndarray) -> np.ndarray:
        """Return the longest possible run time, float64[n] in seconds; infinite where none is known."""
        return np.asarray(_known(np.ascontiguousarray(wallclock_req, np.float64), inf, self.grace))


@njit(cache=True, nogil=True)
def _known(wallclock_req: np.ndarray, otherwise: float, more: float) -> np.ndarray:
    """Return requests and so much more, and something else where none is known."""
    out = np.empty(len(wallclock_req))
    for i in range(len(wallclock_req)):
        out[i] = wallclock_or(wallclock_req[i], otherwise, more)
    return out


@njit(cache=True, nogil=True)
def wallclock_or(wallclock_req: float, otherwise: float, more: float) -> float:
    """Return a request and so much more, and something else where none is known."""
    return otherwise if np.isnan(wallclock_req) else wallclock_req + more


@njit(cache=True, nogil=True)
def seconds(y: np.ndarray, wallclock_req: np.ndarray, usual: float, power: float) -> np.ndarray:
    """Return ``Target.backward`` of one, which compiled code may call."""
    out, inverse = np.empty(y.shape), 1.0 / power
    for i in range(len(y)):
        scale = wallclock_or(wallclock_req[i], usual, 0.0)
        for q in range(y.shape[1]):
            if np.isnan(y[i, q]):
                out[i, q] = y[i, q]
            else:
                out[i, q] = max(max(y[i, q], 0.0) ** inverse * scale, SHORTEST_SECONDS)
    return out
