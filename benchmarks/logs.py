"""The logs that benchmarks read: one of a person's own, or a synthetic one of a given size."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

WORK = Path(__file__).with_name("work")
SEED = 7


def command(name: str) -> str:
    """Return an installed command of the environment that runs this."""
    return str(Path(sys.executable).with_name(name))


def synthetic(work: Path, jobs: int) -> Path:
    """Return a synthetic log of so many jobs; one that is there from an earlier run is taken."""
    path = work / f"synthetic-{jobs}.parquet"
    if not path.exists():
        work.mkdir(parents=True, exist_ok=True)
        # a run that is interrupted leaves no half a log under the name
        part = path.with_suffix(".part.parquet")
        arguments = ("--rows", str(jobs), "--seed", str(SEED), "--out", str(part))
        subprocess.run([command("rt-predictor-synthesize"), *arguments], check=True)
        part.replace(path)
    return path


def add_log_options(parser: argparse.ArgumentParser, jobs: int) -> None:
    """Add the options that ``log_of`` reads; ``jobs`` is the default size."""
    parser.add_argument("--data", type=Path, help="an accounting log; default: a synthetic one")
    parser.add_argument("--jobs", type=int, default=jobs, help=f"size of the synthetic log; default: {jobs}")
    parser.add_argument("--work", type=Path, default=WORK, help="folder of logs and models; default: benchmarks/work")


def log_of(asked: argparse.Namespace) -> Path:
    """Return the log that was asked for."""
    return asked.data or synthetic(asked.work, asked.jobs)
