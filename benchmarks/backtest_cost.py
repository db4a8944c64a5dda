"""How the cost of a backtest grows with the log: newest 1/4, 1/2, 3/4 and all of a log, one after another, in one run.

Each run trains as often as the others, so that what is compared is the cost of more history. A slope of 1 is linear.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from growth import slope
from logs import add_log_options, log_of
from results import Benchmark
from rt_predictor_training.backtest import Plan, backtest
from rt_predictor_training.ingest import Intake, ingest
from rt_predictor_training.profiles import load_profile
from tables import markdown

JOBS = 50_000
QUARTERS = (1, 2, 3, 4)
WARM_UP_JOBS = 2_000
"""A first run on so many jobs compiles the kernels."""


class Silent:
    """No progress."""

    def stage(self, name: str, total: int, unit: str = "") -> None:
        """Say nothing."""

    def advance(self, done: int, total: int | None = None) -> None:
        """Say nothing."""

    def finish(self) -> None:
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


def text(figures: Mapping[str, Any]) -> str:
    """Return the runs as a table, with what each added quarter cost, and the slope over all."""
    runs: Sequence[Mapping[str, float]] = figures["runs"]
    jobs, took = (np.array([run[name] for run in runs], float) for name in ("jobs", "seconds"))
    rows = [
        {"jobs": size, "seconds": time_, "ms per job": 1000 * time_ / size, "added quarter": added}
        for size, time_, added in zip(jobs, took, np.diff(took, prepend=0.0), strict=True)
    ]
    table = markdown({"jobs": ",.0f", "seconds": ".1f", "ms per job": ".2f", "added quarter": ".1f"}, rows)
    return f"{figures['data']}, slope of log(seconds) over log(jobs): {slope(jobs, took):.2f}.\n\n{table}"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    add_log_options(parser, JOBS)
    parser.add_argument("--blocks", type=int, default=24, help="how often a backtest trains; default: 24")


def run(asked: argparse.Namespace) -> dict[str, Any]:
    """Measure and return the figures."""
    path = log_of(asked)
    return {"data": path.name, "runs": measure(path, asked.blocks)}


BENCHMARK = Benchmark("backtest", __doc__, arguments, run, text, small=("--jobs", "8000", "--blocks", "6"))

if __name__ == "__main__":
    BENCHMARK.main()
