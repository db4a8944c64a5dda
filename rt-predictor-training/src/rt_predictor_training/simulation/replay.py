"""One run of a scheduler over a workload, with estimates that may learn from what has ended in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Protocol

import numpy as np

from rt_predictor_training.simulation import easy
from rt_predictor_training.simulation.workload import Workload


@dataclass(frozen=True)
class Rule:
    """A scheduler: how candidates for backfilling are ordered, and whether every submit makes it look at the queue."""

    shortest_first: bool
    eager: bool


RULES: Final = {"easy": Rule(shortest_first=False, eager=False), "easy-sjbf": Rule(shortest_first=True, eager=True)}
"""What ``names.SCHEDULERS`` do."""


@dataclass(frozen=True)
class Schedule:
    """What a run brought out.

    Attributes
    ----------
    start, estimate: int64[n], seconds. reserved: int64[n], the first reservation that a job got [s], ``easy.UNSET``
    where it needed none.
    """

    start: np.ndarray
    estimate: np.ndarray
    reserved: np.ndarray


class Estimator(Protocol):
    """Where estimates of run times come from."""

    @property
    def learns(self) -> bool:
        """Whether estimates depend on what has happened; if not, they are all asked for at the beginning."""
        ...

    def estimate(self, rows: slice) -> np.ndarray:
        """Return the estimates of jobs that are submitted now, int64 in seconds, from 1 to the request."""
        ...

    def observe(self, happened: np.ndarray, start: np.ndarray) -> None:
        """Take in starts and ends in order, coded as in ``easy.advance``; ``start`` int64[n] holds the starts [s]."""
        ...


class Simulation:
    """A machine and its queue at one moment of a run."""

    def __init__(self, workload: Workload, rule: Rule) -> None:
        n = len(workload)
        self._rule = rule
        self._jobs = np.full((easy.RESERVED + 1, n), easy.UNSET, np.int64)
        self._jobs[easy.SUBMIT], self._jobs[easy.RUN] = workload.submit, workload.run
        self._jobs[easy.WIDTH], self._jobs[easy.REQUEST] = workload.width, workload.request
        self._jobs[easy.RANK] = np.arange(n)
        self._lists = np.zeros((easy.ENDING + 1, n), np.int64)
        self._counts = np.zeros(easy.FREE + 1, np.int64)
        self._counts[easy.FREE] = workload.machine.processors
        self._happened = np.zeros(2 * n, np.int64)

    @property
    def start(self) -> np.ndarray:
        """Starts so far, int64[n] in seconds."""
        return np.asarray(self._jobs[easy.START])

    def expect(self, rows: slice, seconds: np.ndarray) -> None:
        """Set the estimates of jobs that are not yet submitted."""
        self._jobs[easy.ESTIMATE, rows] = seconds
        if self._rule.shortest_first:
            self._jobs[easy.RANK, rows] = seconds

    def advance(self, rows: int, until: int) -> np.ndarray:
        """Go on as ``easy.advance`` says and return what has happened since the last call."""
        before = self._counts[easy.HAPPENED]
        easy.advance(rows, until, self._rule.eager, self._jobs, self._lists, self._counts, self._happened)
        return self._happened[before : self._counts[easy.HAPPENED]]

    def schedule(self) -> Schedule:
        """Return what has come out of it."""
        return Schedule(self.start, self._jobs[easy.ESTIMATE], self._jobs[easy.RESERVED])


def simulate(workload: Workload, rule: Rule, estimator: Estimator) -> Schedule:
    """Run a scheduler over a workload; an estimate knows what ended before the second of its job's submit."""
    simulation = Simulation(workload, rule)
    for rows in _moments(workload.submit) if estimator.learns else [slice(0, len(workload))]:
        happened = simulation.advance(rows.start, int(workload.submit[rows.start]))
        if estimator.learns:
            estimator.observe(happened, simulation.start)
        simulation.expect(rows, estimator.estimate(rows))
    simulation.advance(len(workload), easy.NEVER)
    return simulation.schedule()


def _moments(submit: np.ndarray) -> Iterator[slice]:
    """Yield the jobs of each second."""
    edges = [0, *(np.flatnonzero(np.diff(submit)) + 1).tolist(), len(submit)]
    yield from (slice(low, high) for low, high in pairwise(edges))
