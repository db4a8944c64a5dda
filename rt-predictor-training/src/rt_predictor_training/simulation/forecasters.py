"""The ensemble trained block by block: the only place of the simulation that knows how models are made.

One reference run, EASY with requests, says which jobs have ended when. A model of a block is trained on the jobs that
ended in it before the block's first submit, with the history that it gave them; runs with other estimates and shaken
runs use the same models. In those a job may end later than in the reference run, so that now and then a model was
trained on a job that this run has not finished yet. The history features never see such a job.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rt_predictor_core.history.state import State
from rt_predictor_core.models.forecast import Forecaster
from rt_predictor_formats.errors import Problem
from rt_predictor_training.backtest import WARM_UP, blocks_of
from rt_predictor_training.course import Course
from rt_predictor_training.ingest import FEWEST_JOBS, Jobs
from rt_predictor_training.profiles import Profile
from rt_predictor_training.simulation.workload import Workload
from rt_predictor_training.walk import Walk


@dataclass(frozen=True)
class Forecasters:
    """Models and the moments, int in seconds since 1970 and rising, from which each is used."""

    since: Sequence[int]
    models: Sequence[Forecaster]

    def at(self, moment: int) -> Forecaster | None:
        """Return the model of a moment; None before the first."""
        block = bisect_right(self.since, moment) - 1
        return self.models[block] if block >= 0 else None


def warm_up_jobs(jobs: int) -> int:
    """Return how many of a log's ``jobs`` are only learnt from."""
    return int(WARM_UP * jobs)


def train(
    workload: Workload, start: np.ndarray, profile: Profile, blocks: int, on_block: Callable[[], None]
) -> Forecasters:
    """Train one model per block on a reference run with these starts, int64[n] in seconds.

    Raises Problem LOG_TOO_SMALL where too few jobs ended before the first block.
    """
    jobs = _as_simulated(workload, start, start + workload.run)
    course = Course.of(jobs, State())
    learnt, *evaluated = blocks_of(len(course), blocks)
    _must_have_ended(len(course.ended(learnt.first)), jobs)
    walk = Walk(course, profile, (learnt, *evaluated), lambda _: None)
    walk.step(0, learnt)
    models = []
    for number, block in enumerate(evaluated, start=1):
        walk.step(number, block)
        models.append(walk.forecaster)
        on_block()
    return Forecasters([int(course.submit[block.first]) for block in evaluated], models)


def _as_simulated(workload: Workload, start: np.ndarray, end: np.ndarray) -> Jobs:
    jobs = workload.jobs
    return replace(jobs, events=replace(jobs.events, start=start, end=end, ran=np.ones(len(jobs), bool)))


def _must_have_ended(ended: int, jobs: Jobs) -> None:
    if ended < FEWEST_JOBS:
        raise Problem(
            "LOG_TOO_SMALL",
            f"{ended} jobs ended before the first forecast, at least {FEWEST_JOBS} are needed",
            place=", ".join(jobs.facts.sources),
            remedy="give a longer log with --data, or leave the ensemble out with --inputs",
        )
