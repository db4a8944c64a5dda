"""Who is heard in the blend, learnt on jobs that none of the members had seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Final

import numpy as np

from rt_predictor_core.models.blend import blend
from rt_predictor_core.models.target import Target
from rt_predictor_core.scores import pinball_by_level

MARGIN: Final = 0.01
"""All members are heard unless some of them alone have a loss that is smaller by more than this share.

Smaller differences do not last: on two real logs weights that were best on the past lost to the plain median.
"""

MOST_JOBS: Final = 20_000
"""Who is heard is learnt on at most this many of the newest ended jobs."""


def everyone(names: Sequence[str], levels: int) -> dict[str, np.ndarray]:
    """Return equal weights, float64[levels] for each member."""
    return {name: np.full(levels, 1.0 / len(names)) for name in names}


def learn_weights(
    said: Mapping[str, np.ndarray], target: Target, run: np.ndarray, wallclock_req: np.ndarray, levels: np.ndarray
) -> dict[str, np.ndarray]:
    """Return each member's weight, float64[levels]: at each level equal among those that are heard, else 0.

    ``said`` are the members' quantiles float64[n, levels] in units of the target; ``run`` and ``wallclock_req``
    float64[n] in seconds. Those are heard whose median has the least pinball loss in seconds.
    """
    newest = slice(max(0, len(run) - MOST_JOBS), None)
    request = wallclock_req[newest]
    limit = target.limit(request)[:, None]
    times = [np.minimum(target.backward(quantiles[newest], request), limit) for quantiles in said.values()]
    choices = [np.array(choice) for choice in product((True, False), repeat=len(times)) if any(choice)]
    losses = np.stack([_loss(times, choice, run[newest], levels) for choice in choices])
    losses[0] *= 1.0 - MARGIN
    chosen = np.stack([choices[best] for best in losses.argmin(axis=0)], axis=1)
    return dict(zip(said, chosen / chosen.sum(axis=0), strict=True))


def _loss(times: Sequence[np.ndarray], choice: np.ndarray, run: np.ndarray, levels: np.ndarray) -> np.ndarray:
    return pinball_by_level(blend(times, np.tile(choice[:, None], len(levels))), run, levels)
