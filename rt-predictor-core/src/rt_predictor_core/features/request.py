"""Features of the request alone: what the job asks for, and the calendar."""

from __future__ import annotations

from math import log1p, nan
from typing import Final

import numpy as np
from numba import njit

FEATURES: Final = (
    "log_wallclock_req",
    "log_nodes_req",
    "log_processors_req",
    "log_gpus_req",
    "log_mem_req",
    "processors_per_node",
    "log_mem_per_processor",
    "log_processor_hours_req",
    "wallclock_minutes_mod_hour",
    "hour_of_day",
    "day_of_week",
)
"""Names in order; logarithms are of 1 + value, times of day and week are UTC."""

_HOUR, _DAY = 3600, 86_400
_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday; Monday is 0


@njit(cache=True, nogil=True)
def fill(numbers: np.ndarray, submit_time: np.ndarray, out: np.ndarray) -> None:
    """Write the features of each request into the first columns of ``out``, float32[n, features]; NaN where unknown.

    Row by row in plain arithmetic, so that one row and a million give the same bits.
    """
    for i in range(len(numbers)):
        wallclock, nodes, processors = numbers[i, 0], numbers[i, 1], numbers[i, 2]
        gpus, memory = numbers[i, 3], numbers[i, 4]
        if memory == 0.0:  # the canonical schema's "not given"
            memory = nan
        out[i, 0] = log1p(wallclock)
        out[i, 1] = log1p(nodes)
        out[i, 2] = log1p(processors)
        out[i, 3] = log1p(gpus)
        out[i, 4] = log1p(memory)
        out[i, 5] = processors / nodes
        out[i, 6] = log1p(memory / processors)
        out[i, 7] = log1p(processors * wallclock / _HOUR)
        out[i, 8] = (wallclock // 60.0) % 60.0
        out[i, 9] = (submit_time[i] % _DAY) / _HOUR
        out[i, 10] = (submit_time[i] // _DAY + _EPOCH_WEEKDAY) % 7
