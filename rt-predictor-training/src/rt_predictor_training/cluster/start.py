"""Where the workers come from: processes of this machine, jobs under Slurm, or a scheduler that runs already."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from signal import SIGTERM, signal
from threading import current_thread, main_thread
from typing import Any, Final

import dask
from distributed import Client, LocalCluster
from distributed.core import Status

from rt_predictor_formats.errors import Problem
from rt_predictor_training.profiles import Profile

CONNECT_SECONDS: Final = 15.0
"""How long a scheduler may take to answer."""

HOLD_LOST: Final = {"distributed.deploy.lost-worker-timeout": "1 day"}
"""A nanny starts its worker anew. So long after a loss, Dask ends for good a worker that is just absent then, however
often it came back meanwhile: with its default of 15 s a second loss would end the nanny, too."""


@contextmanager
def connections(where: str, workers: int, profile: Profile) -> Iterator[Callable[[], Client]]:
    """Give a function that connects to the workers; what was started for that is stopped in the end.

    ``where`` is local, slurm, or a scheduler's address.
    """
    if "://" in where:
        yield lambda: _client(where)
        return
    started = _local(workers, profile) if where == "local" else _slurm(workers)
    with dask.config.set(HOLD_LOST), started as cluster:
        yield lambda: _client(cluster.scheduler_address)


def _client(address: str) -> Client:
    try:
        # XGBoost's engine asks for the default one too
        return Client(address, timeout=CONNECT_SECONDS, set_as_default=True)
    except (OSError, ValueError) as error:
        raise unreachable(address) from error


@contextmanager
def stopped_by_signal() -> Iterator[None]:
    """Leave by an exception when asked to end, as ``kill`` and ``scancel`` do, so that nothing is left running."""
    if current_thread() is not main_thread():
        yield
        return
    before = signal(SIGTERM, lambda number, _frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal(SIGTERM, before)


def unreachable(address: str) -> Problem:
    """Return the problem of a scheduler that does not answer."""
    return Problem(
        "CLUSTER_UNREACHABLE",
        f"{address} does not answer",
        place="--cluster",
        remedy="start the scheduler, and see that this machine and the workers can reach each other",
    )


def _local(workers: int, profile: Profile) -> Any:
    return LocalCluster(
        n_workers=workers,
        threads_per_worker=max(1, profile.threads // workers),
        # its pages are for this machine alone, on any free port
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
        preload=["rt_predictor_training.cluster.quiet"],
    )


@contextmanager
def _slurm(workers: int) -> Iterator[Any]:
    from dask_jobqueue import SLURMCluster

    settings = dask.config.get("jobqueue.slurm")
    missing = [name for name in ("cores", "memory") if not settings[name]]
    if missing:
        raise _slurm_problem(f"jobqueue.slurm: {' and '.join(missing)} of a job not set")
    # all cores of a job are for one process, unless the site says otherwise: so the libraries use them best
    processes = settings["processes"] or 1
    with SLURMCluster(processes=processes, silence_logs=logging.CRITICAL) as cluster:
        try:
            cluster.sync(_submitted, cluster, workers * processes)
        except (OSError, RuntimeError, ValueError) as error:
            _without_jobs(cluster)
            # of what sbatch says, the last line is the reason
            raise _slurm_problem(str(error).strip().splitlines()[-1]) from error
        yield cluster


async def _submitted(cluster: Any, workers: int) -> None:
    # scale() would only log that sbatch refuses
    while len(cluster.worker_spec) < workers:
        cluster.worker_spec.update(cluster.new_worker_spec())
    await cluster


def _without_jobs(cluster: Any) -> None:
    """Let a cluster close whose jobs were refused: it insists on an end of all that it began."""
    for worker in cluster.workers.values():
        if worker.status == Status.created:
            worker.status = Status.failed


def _slurm_problem(thing: str) -> Problem:
    return Problem(
        "CLUSTER_SLURM",
        thing,
        place="--cluster slurm",
        remedy="see docs/how-to/train-on-a-cluster.md for Dask's settings of your Slurm",
    )
