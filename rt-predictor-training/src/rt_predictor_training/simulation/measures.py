"""What waiting came out of a run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rt_predictor_training.simulation.replay import Schedule
from rt_predictor_training.simulation.workload import Workload

SHORTEST = 10
"""Jobs shorter than this [s] count as this long in the bounded slowdown (Feitelson et al., JSSPP 1997)."""

MEASURES = ("bounded_slowdown", "bounded_slowdown_p95", "bounded_slowdown_max", "wait_h", "utilisation", "under_rate")
"""Names of what ``measures`` returns."""

_HOUR = 3600.0


def measures(workload: Workload, schedule: Schedule, seen: np.ndarray) -> dict[str, float]:
    """Measure the jobs that ``seen``, bool[n], marks.

    Returns the mean, the 95th percentile and the maximum of the bounded slowdown, ``max(1, (wait + run) / max(run,
    10 s))``; the mean wait [h]; the share of the machine in use by any job from the first of these submits to the last
    end; and the share of jobs that ran longer than estimated.
    """
    submit, run, start = workload.submit[seen], workload.run[seen], schedule.start[seen]
    slowdown = np.maximum(1.0, (start - submit + run) / np.maximum(run, SHORTEST))
    return {
        "bounded_slowdown": float(slowdown.mean()),
        "bounded_slowdown_p95": float(np.quantile(slowdown, 0.95)),
        "bounded_slowdown_max": float(slowdown.max()),
        "wait_h": float((start - submit).mean() / _HOUR),
        "utilisation": _utilisation(workload, schedule, int(submit.min())),
        "under_rate": float((schedule.estimate[seen] < run).mean()),
    }


def spread(runs: Sequence[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Return mean, least and greatest value of each measure over some runs."""
    columns = {name: [run[name] for run in runs] for name in MEASURES}
    return {
        name: {"mean": float(np.mean(values)), "least": min(values), "greatest": max(values)}
        for name, values in columns.items()
    }


def _utilisation(workload: Workload, schedule: Schedule, since: int) -> float:
    """Return the share of all processors that jobs held, between ``since`` and the last end."""
    end = schedule.start + workload.run
    held = np.maximum(end - np.maximum(schedule.start, since), 0) @ workload.width
    return float(held / (workload.machine.processors * (end.max() - since)))
