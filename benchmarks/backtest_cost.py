"""How the cost of a backtest grows with the log: newest 1/4, 1/2, 3/4 and all of a log, one after another, in one run.

Each run trains as often as the others, so that what is compared is the cost of more history. Prints the time per run,
what each added quarter cost, and the slope of a line through the logarithms: 1 is linear.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from rt_predictor_training.backtest import Plan, backtest
from rt_predictor_training.ingest import Intake
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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="an accounting log")
    parser.add_argument("--jobs", type=int, required=True, help="how many of its jobs are all")
    parser.add_argument("--blocks", type=int, default=24)
    asked = parser.parse_args()
    seconds(asked.data, WARM_UP_JOBS, 2)
    sizes = [asked.jobs * quarter // QUARTERS[-1] for quarter in QUARTERS]
    took = [seconds(asked.data, size, asked.blocks) for size in sizes]
    print(f"{'jobs':>8} {'seconds':>8} {'ms per job':>11} {'added quarter':>14}")
    for size, time_, added in zip(sizes, took, np.diff([0.0, *took]), strict=True):
        print(f"{size:8} {time_:8.1f} {1000 * time_ / size:11.2f} {added:14.1f}")
    print(f"slope of log(seconds) over log(jobs): {np.polyfit(np.log(sizes), np.log(took), 1)[0]:.2f}")


if __name__ == "__main__":
    main()
