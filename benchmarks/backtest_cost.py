"""How the cost of a backtest grows with the log: newest 1/4, 1/2, 3/4 and all of a log, one after another, in one run.

Each run trains as often as the others, so that what is compared is the cost of more history. A slope of 1 is linear.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from rt_predictor_training.backtest import Plan, backtest
from rt_predictor_training.ingest import Intake, ingest
from rt_predictor_training.profiles import load_profile

QUARTERS = (1, 2, 3, 4)
WARM_UP_JOBS = 2_000
"""A first run on so many jobs compiles the kernels."""


class Silent:
    """No progress."""

    def stage(self, name: str, total: int) -> None:
        """Say nothing."""

    def advance(self, done: int) -> None:
        """Say nothing."""


def seconds(path: Path, jobs: int, blocks: int) -> float:
    """Return how long a backtest of the newest jobs takes, without ablations [s]."""
    profile = load_profile("quick")
    intake = Intake((path,), profile.chunk_rows, sample_size=jobs)
    begin = time.perf_counter()
    backtest(path.name, intake, profile, Plan(blocks, ablate=False), Silent())
    return time.perf_counter() - begin


def measure(path: Path, blocks: int) -> list[dict[str, float]]:
    """Return how many jobs each run had and how long it took [s], smallest first."""
    jobs = len(ingest(Intake((path,), load_profile("quick").chunk_rows), lambda *_: None))
    seconds(path, min(WARM_UP_JOBS, jobs), 2)
    sizes = [jobs * quarter // QUARTERS[-1] for quarter in QUARTERS]
    return [{"jobs": size, "seconds": seconds(path, size, blocks)} for size in sizes]


def table(runs: list[dict[str, float]]) -> str:
    """Return the runs as text, with what each added quarter cost and the slope over all."""
    jobs, took = (np.array([run[name] for run in runs]) for name in ("jobs", "seconds"))
    lines = [f"{'jobs':>8} {'seconds':>8} {'ms per job':>11} {'added quarter':>14}"]
    for size, time_, added in zip(jobs, took, np.diff(took, prepend=0.0), strict=True):
        lines.append(f"{size:8.0f} {time_:8.1f} {1000 * time_ / size:11.2f} {added:14.1f}")
    lines.append(f"slope of log(seconds) over log(jobs): {np.polyfit(np.log(jobs), np.log(took), 1)[0]:.2f}")
    return "\n".join(lines)
