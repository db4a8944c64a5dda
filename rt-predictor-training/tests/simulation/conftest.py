"""Real traces, and small workloads made by hand."""

import gzip
import os
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from rt_predictor_core.history.log import EventLog
from rt_predictor_core.requests import Requests
from rt_predictor_training.facts import Facts
from rt_predictor_training.ingest import Jobs
from rt_predictor_training.simulation.workload import Machine, Workload, arranged, workload_of

Job = tuple[int, int, int, int, str]
"""Submit [s], run time [s], request [s], processors, user."""

SP2 = "SDSC-SP2-1998-recovered.swf.gz"


def _workload(jobs: Sequence[Job], processors: int) -> Workload:
    rows = [
        {"submit_time": submit, "wallclock_req": float(request), "processors_req": float(width), "user": user}
        for submit, _run, request, width, user in jobs
    ]
    requests = Requests.from_rows(rows)
    run = np.array([job[1] for job in jobs], np.float64)
    nothing = np.zeros(len(jobs))
    events = EventLog(
        submit=requests.submit_time,
        start=np.full(len(jobs), -1),
        end=np.full(len(jobs), -1),
        run=run,
        request=requests.wallclock_req,
        failed=nothing,
        ran=run > 0,
        identity=np.arange(len(jobs), dtype=np.uint64),
    )
    log = Jobs(requests, events, Facts.of(requests, events, rejected=0, sources=("by hand",), notes=(), example={}))
    workload = workload_of(log, Machine(processors, "test"), "by hand")
    return arranged(workload, workload.submit)


@pytest.fixture(scope="session")
def workload() -> Callable[[Sequence[Job], int], Workload]:
    """Makes a workload of jobs, in any order, and a number of processors."""
    return _workload


@pytest.fixture(scope="session")
def sp2() -> Path:
    """The SDSC-SP2 log; without it the test is skipped."""
    folder = Path(os.environ.get("RT_PREDICTOR_TRACES", Path(__file__).parents[4] / "shared" / "traces"))
    if not (folder / SP2).is_file():
        pytest.skip(f"no {SP2} in {folder}; name the folder of real job logs in RT_PREDICTOR_TRACES")
    return folder / SP2


@pytest.fixture(scope="session")
def sp2_begin(sp2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 3,000 jobs of the SDSC-SP2 log."""
    path = tmp_path_factory.mktemp("log") / "begin.swf"
    with gzip.open(sp2, "rt", encoding="utf-8") as log:
        path.write_text("".join(islice((line for line in log if not line.startswith(";")), 3000)), "utf-8")
    return path
