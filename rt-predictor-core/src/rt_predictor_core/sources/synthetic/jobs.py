"""The jobs of a synthetic log, drawn day by day from its plan.

Days are drawn in groups that depend on the plan alone, each with a random stream of its own, so that neither the
size of the batches nor where a reader stops changes a job. What is carried from group to group is one counter per
campaign for the numbers in job names, and the next job id.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rt_predictor_core.schema import STATES
from rt_predictor_core.sources.synthetic import calibration as known
from rt_predictor_core.sources.synthetic.campaigns import PER_JOB, Floats, Ints, Plan

GROUP_ROWS = 20_000
"""Days are drawn together until there are so many jobs: fewer, larger steps are faster."""

FIRST_JOB_ID = 100_000

_DAY = 86_400
_SHORTER_PER_DOUBLING = 0.6
_BAD_DAY, _BAD_DAY_FACTOR = 0.2, 3.4
_RUN_LIMIT = 31_000_000.0
_CODE = {state: code for code, state in enumerate(STATES)}


@dataclass(frozen=True)
class Jobs:
    """Jobs in the order of their submission. Arrays are per job.

    Attributes
    ----------
    campaign: index into the plan.
    job_id: shared by the tasks of an array.
    number: the number in the job's name.
    nodes: factor on the campaign's request of nodes.
    submit, start, end: seconds since 1970; -1 unknown.
    run: run time [s]; -1 unknown.
    state: index into ``schema.STATES``.
    """

    campaign: Ints
    job_id: Ints
    number: Ints
    nodes: Ints
    submit: Ints
    start: Ints
    end: Ints
    run: Floats
    state: Ints


def draw(plan: Plan, seed: int) -> Iterator[Jobs]:
    """Yield all jobs of a plan in groups of whole days, about ``GROUP_ROWS`` jobs each."""
    numbers = np.zeros(len(plan.user), np.int64)
    job_id = FIRST_JOB_ID
    for begin, end in _groups(plan):
        rng = np.random.default_rng([seed, 1, begin])
        group = _Group(plan, rng, begin, end)
        jobs = group.jobs(numbers, job_id)
        numbers += np.bincount(group.campaign, group.numbered, len(numbers)).astype(np.int64)
        job_id = int(jobs.job_id[-1]) + 1
        yield jobs


def _groups(plan: Plan) -> Iterator[tuple[int, int]]:
    """Yield ranges of the plan's cells that end with a day."""
    jobs = np.cumsum(plan.cell_jobs)
    ends = np.flatnonzero(np.diff(plan.cell_day, append=-1)) + 1
    begin = 0
    while begin < len(jobs):
        enough = np.searchsorted(jobs, (jobs[begin - 1] if begin else 0) + GROUP_ROWS)
        end = int(ends[min(np.searchsorted(ends, enough, side="right"), len(ends) - 1)])
        yield begin, end
        begin = end


class _Group:
    """Some days of the log."""

    def __init__(self, plan: Plan, rng: np.random.Generator, begin: int, end: int) -> None:
        self._plan = plan
        self._rng = rng
        cell_jobs = plan.cell_jobs[begin:end]
        self._cell = np.repeat(np.arange(end - begin), cell_jobs)
        self.campaign = plan.cell_campaign[begin:end][self._cell]
        self._day = plan.cell_day[begin:end][self._cell]
        # a unit is what is submitted together: the n-th of the campaign on this day
        self._place = np.arange(len(self._cell)) - np.repeat(np.cumsum(cell_jobs) - cell_jobs, cell_jobs)
        self._inside = self._place % plan.together[self.campaign]
        self._unit = np.cumsum(self._inside == 0) - 1
        self.numbered = np.where(plan.naming[self.campaign] == PER_JOB, 1.0, self._inside == 0)

    def jobs(self, numbers: Ints, job_id: int) -> Jobs:
        """Return the jobs in order; ``numbers`` and ``job_id`` are the next ones to be given."""
        plan, campaign = self._plan, self.campaign
        submit = self._submit()
        doubled = self._per_unit(self._rng.integers(0, 3, self._units)) * plan.varied[campaign]
        state, run = self._outcome(doubled)
        start, end, run, state = self._schedule(submit, run, state)
        order = np.lexsort((self._place, self._unit, submit))
        array = plan.array[campaign][order]
        same = np.concatenate(([False], self._unit[order][1:] == self._unit[order][:-1])) & array
        taken = numbers[campaign] + self._taken()
        return Jobs(
            campaign=campaign[order],
            job_id=job_id + np.cumsum(~same) - 1,
            number=taken[order],
            nodes=(1 << doubled)[order],
            submit=submit[order],
            start=start[order],
            end=end[order],
            run=run[order],
            state=state[order],
        )

    @property
    def _units(self) -> int:
        return int(self._unit[-1]) + 1

    def _per_unit(self, values: npt.NDArray[np.int64]) -> Ints:
        spread: Ints = values[self._unit]
        return spread

    def _taken(self) -> Ints:
        """Return how many numbers the campaign has used in this group before each job."""
        order = np.argsort(self.campaign, kind="stable")
        used = np.cumsum(self.numbered[order]).astype(np.int64)
        opening = np.concatenate(([True], np.diff(self.campaign[order]) > 0))
        before = np.where(opening, used - self.numbered[order].astype(np.int64), 0)
        taken = np.empty(len(order), np.int64)
        taken[order] = used - np.maximum.accumulate(before)
        return taken

    def _submit(self) -> Ints:
        """Submission [s since 1970]: a unit's time follows the hours of the day; a loop submits every few seconds."""
        rng = self._rng
        hour = rng.choice(24, self._units, p=known.HOURS / known.HOURS.sum())
        second = self._per_unit(hour * 3600 + rng.integers(0, 3600, self._units))
        pause = np.where(self._plan.array[self.campaign], 0, 3)
        second = np.minimum(second + self._inside * pause, _DAY - 1)
        return (self._plan.log_begin + self._day) * _DAY + second

    def _outcome(self, doubled: Ints) -> tuple[Ints, Floats]:
        """Return how each job ends and after how long [s], had it started."""
        plan, rng, campaign, count = self._plan, self._rng, self.campaign, len(self.campaign)
        progress = (self._day - plan.first_day[campaign]) / plan.days[campaign]
        level = plan.log_run[campaign] + plan.drift[campaign] * (progress - 0.5)
        level += plan.step[campaign] * (self._day >= plan.first_day[campaign] + plan.step_day[campaign])
        level -= plan.varied[campaign] * _SHORTER_PER_DOUBLING * (doubled - 1)
        full = np.exp(level + plan.spread[campaign] * rng.standard_normal(count))
        limit = plan.limit[campaign]
        state = np.where(full >= limit, _CODE["TIMEOUT"], _CODE["COMPLETED"])
        run = np.where(full >= limit, limit + rng.integers(1, 30, count), full)
        return self._mishaps(state, run)

    def _mishaps(self, state: Ints, run: Floats) -> tuple[Ints, Floats]:
        """Let jobs fail, run out of memory, lose their node or be cancelled before their end."""
        plan, rng, campaign, count = self._plan, self._rng, self.campaign, len(self.campaign)
        bad = rng.random(self._cell[-1] + 1)[self._cell] < _BAD_DAY
        failing = plan.failing[campaign] * np.where(
            bad, _BAD_DAY_FACTOR, (1 - _BAD_DAY * _BAD_DAY_FACTOR) / (1 - _BAD_DAY)
        )
        chances = [
            plan.cancelling[campaign],
            failing,
            np.full(count, known.STATE_SHARES["OUT_OF_MEMORY"]),
            np.full(count, known.STATE_SHARES["NODE_FAIL"]),
        ]
        edges = np.cumsum(chances, axis=0)
        fate = (rng.random(count) >= edges).sum(axis=0)
        early = rng.lognormal(np.log(known.CRASH_SECONDS), known.CRASH_SPREAD, count)
        part = rng.random(count) * np.minimum(run, plan.limit[campaign])
        crash = np.where(rng.random(count) < known.EARLY_CRASHES, np.minimum(early, part), part)
        codes = [_CODE[word] for word in ("CANCELLED", "FAILED", "OUT_OF_MEMORY", "NODE_FAIL")]
        state = np.select([fate == i for i in range(len(codes))], codes, state)
        run = np.select([fate == 0, fate == 1, fate < len(codes)], [part, crash, part], run)
        return state, np.maximum(np.round(run), 1.0)

    def _schedule(self, submit: Ints, run: Floats, state: Ints) -> tuple[Ints, Ints, Floats, Ints]:
        """Let jobs wait, start and end; some are cancelled first, the last have not ended when the log is taken."""
        rng, count = self._rng, len(submit)
        hours = self._plan.limit[self.campaign] / 3600
        mean = known.WAIT_HOURS * hours**known.WAIT_POWER * 3600
        wait = rng.lognormal(np.log(mean) - known.WAIT_SPREAD**2 / 2, known.WAIT_SPREAD)
        start = submit + np.minimum(wait, 30 * _DAY).astype(np.int64)
        end = start + run.astype(np.int64)
        unstarted = (state == _CODE["CANCELLED"]) & (rng.random(count) < known.UNSTARTED)
        taken = (self._plan.log_begin + self._plan.log_days + TAKEN_AFTER_DAYS) * _DAY
        pending = (start > taken) & ~unstarted
        running = (end > taken) & ~pending & ~unstarted
        state = np.where(pending, _CODE["PENDING"], np.where(running, _CODE["RUNNING"], state))
        unknown = pending | running | unstarted
        gone = submit + (rng.random(count) * (start - submit)).astype(np.int64)
        end = np.where(unstarted, np.minimum(gone, taken), np.where(pending | running, -1, end))
        return np.where(pending | unstarted, -1, start), end, np.where(unknown, -1.0, run), state


TAKEN_AFTER_DAYS = 2
"""The log is taken so long after its last submission [days]; what has not ended by then is PENDING or RUNNING."""
