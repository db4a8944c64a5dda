"""Real traces and small random logs."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rt_predictor_core.history.log import EventLog
from rt_predictor_core.requests import Requests


def _random_log(jobs: int, seed: int) -> tuple[Requests, EventLog]:
    """A log with few users and seconds, so that every kind of coincidence occurs."""
    random = np.random.default_rng(seed)
    submit = np.sort(random.integers(0, 300, jobs))
    wait, run = random.integers(0, 40, jobs), random.integers(0, 60, jobs)
    wait[::7], run[::7] = 0, random.integers(0, 3, len(run[::7]))  # over within their second of submit
    start, end = submit + wait, submit + wait + run
    withdrawn, untold = random.random(jobs) < 0.15, random.random(jobs) < 0.05
    start, end = np.where(withdrawn | untold, -1, start), np.where(untold, -1, end)
    rows = [
        {
            "user": random.choice(["ada", "bob", None]),
            "account": random.choice(["physics", None]),
            "partition": random.choice(["short", "long", None]),
            "name": random.choice(["run_1", "run_2", "relax", None]),
            "wallclock_req": random.choice([60.0, 3600.0, None]),
            "processors_req": random.choice([1.0, 2.0, None]),
            "submit_time": int(moment),
        }
        for moment in submit
    ]
    requests = Requests.from_rows(rows)
    return requests, EventLog(
        submit=requests.submit_time,
        start=start,
        end=end,
        run=run.astype(float),
        request=requests.wallclock_req,
        failed=random.integers(0, 2, jobs).astype(float),
        ran=(run > 0) & (start >= 0),
        identity=random.integers(1, 2**63, jobs).astype(np.uint64),
    )


@pytest.fixture(scope="session")
def random_log() -> Callable[[int, int], tuple[Requests, EventLog]]:
    """Makes a log of a number of jobs from a seed."""
    return _random_log


@pytest.fixture
def traces() -> Path:
    """The folder of real job logs; without it the test is skipped."""
    folder = Path(os.environ.get("RT_PREDICTOR_TRACES", Path(__file__).parents[3] / "shared" / "traces"))
    if not folder.is_dir():
        pytest.skip(f"no real job logs at {folder}; name their folder in RT_PREDICTOR_TRACES")
    return folder
