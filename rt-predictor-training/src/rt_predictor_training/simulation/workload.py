"""The workload of a simulation: a log's jobs as a scheduler sees them, and slightly shaken copies of it.

The filter is that of Gaussier et al., "Improving Backfilling by using Machine Learning to Predict Running Times",
SC'15: what cannot run is left out, and a run time above the request is cut to it, as a scheduler that kills would.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rt_predictor_core.requests import NUMBERS
from rt_predictor_core.sources import open_log
from rt_predictor_formats.errors import Problem
from rt_predictor_training.ingest import Jobs

_PROCESSORS = NUMBERS.index("processors_req")


@dataclass(frozen=True)
class Machine:
    """How many processors there are, and how that is known."""

    processors: int
    known_from: str


@dataclass(frozen=True)
class Workload:
    """``n`` jobs in the order in which they are submitted; of one second, in the order of the log.

    Attributes
    ----------
    jobs: the same ``n`` rows; ``events`` hold no start and no end that mean anything here.
    submit, run, request: int64[n], seconds. width: int64[n], processors. row: int64[n], places in the unshaken log.
    dropped: rows that were left out, by reason. cut: jobs whose run time was cut to the request.
    """

    jobs: Jobs
    submit: np.ndarray
    run: np.ndarray
    request: np.ndarray
    width: np.ndarray
    row: np.ndarray
    machine: Machine
    dropped: dict[str, int]
    cut: int

    def __len__(self) -> int:
        return len(self.submit)


def machine_of(jobs: Jobs, paths: Sequence[Path], processors: int | None) -> Machine:
    """Return the machine's size: as given, else from the header of the log, else its widest request.

    Raises Problem PROCESSORS_MISSING where no job says how many processors it wants.
    """
    width = jobs.requests.numbers[:, _PROCESSORS]
    if np.isnan(width).all():
        raise Problem(
            "PROCESSORS_MISSING",
            "no job says how many processors it asked for",
            place=", ".join(map(str, paths)),
            remedy="give a log with processors: without them there is nothing to schedule",
        )
    if processors is not None:
        return Machine(processors, "--processors")
    header = open_log(paths).processors
    if header is not None:
        return Machine(header, "header of the log")
    return Machine(int(np.nanmax(width)), "widest request in the log")


def workload_of(jobs: Jobs, machine: Machine, place: str) -> Workload:
    """Filter a log; ``place`` says in an error which one.

    Raises Problem REQUESTS_MISSING where no job requests a time, and NOTHING_TO_SIMULATE where no job is left.
    """
    request, width = jobs.requests.wallclock_req, jobs.requests.numbers[:, _PROCESSORS]
    if np.isnan(request).all():
        remedy = "give a log with requested times: backfilling needs them for its reservations and its limits"
        raise Problem("REQUESTS_MISSING", "no job requests a time", place=place, remedy=remedy)
    reasons = {
        "run time 0 or unknown": ~(jobs.events.run >= 1.0),
        "requested time 0 or unknown": ~(request >= 1.0),
        "processors 0 or unknown": ~(width >= 1.0),
        f"more than {machine.processors} processors": width > machine.processors,
    }
    keep, dropped = np.ones(len(jobs), bool), {}
    for reason, broken in reasons.items():
        dropped[reason] = int((keep & broken).sum())
        keep &= ~broken
    if not keep.any():
        remedy = "compare --processors with the log" if dropped[list(reasons)[-1]] else "give a log of jobs that ran"
        raise Problem("NOTHING_TO_SIMULATE", "no job of this log can be simulated", place=place, remedy=remedy)
    return _built(taken(jobs, np.flatnonzero(keep)), machine, dropped)


def taken(jobs: Jobs, rows: np.ndarray) -> Jobs:
    """Return some rows of a log."""
    return replace(jobs, requests=jobs.requests.take(rows), events=jobs.events.take(rows))


def shaken(workload: Workload, seed: int, seconds: int) -> Workload:
    """Return the workload with each submit moved by a whole number of seconds, evenly from -``seconds`` to ``seconds``.

    A result that small changes of the input overthrow is an accident of the trace: Tsafrir, Ouaknine, Feitelson,
    "Reducing Performance Evaluation Sensitivity and Variability by Input Shaking", MASCOTS 2007.
    """
    moved = workload.submit + np.random.default_rng(seed).integers(-seconds, seconds, len(workload), endpoint=True)
    return arranged(workload, moved)


def arranged(workload: Workload, submit: np.ndarray) -> Workload:
    """Return the workload with other submit times, int64[n] in seconds, in their order."""
    order = np.lexsort((workload.row, submit))
    jobs = taken(workload.jobs, order)
    requests = replace(jobs.requests, submit_time=submit[order])
    return replace(
        workload,
        jobs=replace(jobs, requests=requests, events=replace(jobs.events, submit=submit[order])),
        submit=submit[order],
        run=workload.run[order],
        request=workload.request[order],
        width=workload.width[order],
        row=workload.row[order],
    )


def _built(jobs: Jobs, machine: Machine, dropped: dict[str, int]) -> Workload:
    # the event loop counts whole seconds; a part of one is a second in use
    run = np.ceil(jobs.events.run).astype(np.int64)
    request = np.ceil(jobs.requests.wallclock_req).astype(np.int64)
    kept = np.minimum(run, request)
    return Workload(
        jobs=replace(jobs, events=replace(jobs.events, run=kept.astype(np.float64))),
        submit=jobs.requests.submit_time,
        run=kept,
        request=request,
        width=jobs.requests.numbers[:, _PROCESSORS].astype(np.int64),
        row=np.arange(len(jobs)),
        machine=machine,
        dropped=dropped,
        cut=int((run > request).sum()),
    )
