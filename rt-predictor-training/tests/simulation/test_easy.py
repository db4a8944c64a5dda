"""The scheduler against its definition, and what must hold of every schedule."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rt_predictor_training.simulation import easy
from rt_predictor_training.simulation.estimators import Known, LastTwo
from rt_predictor_training.simulation.replay import RULES, Rule, Schedule, simulate
from rt_predictor_training.simulation.workload import Workload, arranged, taken

PROCESSORS = 8
Make = Callable[[Sequence[tuple[int, int, int, int, str]], int], Workload]

JOB = st.builds(
    lambda submit, run, slack, width, user: (submit, run, run + slack, width, user),
    submit=st.integers(-2, 40),
    run=st.integers(1, 15),
    slack=st.sampled_from([0, 0, 1, 5, 30]),
    width=st.integers(1, PROCESSORS),
    user=st.sampled_from(["ada", "bob"]),
)
JOBS = st.lists(JOB, min_size=1, max_size=25)
rules = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)


class Slow:
    """The scheduler as its definition reads: every question is answered by going through all jobs."""

    def __init__(self, work: Workload, rule: Rule, estimate: np.ndarray) -> None:
        self.work, self.rule, self.estimate = work, rule, estimate.tolist()
        self.waiting: list[int] = []
        self.running: list[int] = []
        self.expected: dict[int, int] = {}
        self.start: dict[int, int] = {}

    def free_at(self, moment: int) -> int:
        return PROCESSORS - sum(int(self.work.width[job]) for job in self.running if self.expected[job] > moment)

    def end(self, job: int) -> int:
        return self.start[job] + int(self.work.run[job])

    def begin(self, job: int, now: int) -> None:
        self.waiting.remove(job)
        self.running.append(job)
        self.start[job] = now
        self.expected[job] = now + self.estimate[job]

    def schedule(self, now: int) -> None:
        width = self.work.width
        while self.waiting and width[self.waiting[0]] <= self.free_at(now):
            self.begin(self.waiting[0], now)
        if len(self.waiting) < 2:
            return
        head, *others = self.waiting
        reserved = min(m for m in self.expected.values() if m > now and self.free_at(m) >= width[head])
        for job in sorted(others, key=lambda job: self.estimate[job]) if self.rule.shortest_first else others:
            if width[job] <= self.free_at(now):
                still_there = now + self.estimate[job] > reserved
                if not still_there or self.free_at(reserved) - width[job] >= width[head]:
                    self.begin(job, now)

    def run(self) -> list[int]:
        submits = self.work.submit.tolist()
        while len(self.start) < len(submits) or self.running:
            coming = [moment for job, moment in enumerate(submits) if job not in self.start and job not in self.waiting]
            now = min(coming + [self.end(job) for job in self.running])
            for job in self.running:
                if self.expected[job] <= now and self.expected[job] < self.end(job):
                    self.expected[job] = self.start[job] + int(self.work.request[job])
            for job in [job for job, moment in enumerate(submits) if moment == now]:
                self.waiting.append(job)
                if self.rule.eager or self.work.width[job] <= self.free_at(now):
                    self.schedule(now)
            for job in [job for job in self.running if self.end(job) == now]:
                self.running.remove(job)
                self.expected.pop(job)
                self.schedule(now)
        return [self.start[job] for job in range(len(submits))]


def estimates(work: Workload, seed: int) -> np.ndarray:
    """Estimates from 1 second to the request, too short ones among them."""
    return np.random.default_rng(seed).integers(1, work.request, endpoint=True)


def in_use(work: Workload, schedule: Schedule, moment: int) -> int:
    held = (schedule.start <= moment) & (moment < schedule.start + work.run)
    return int(work.width[held].sum())


@rules
@settings(deadline=None)
@given(jobs=JOBS, seed=st.integers(0, 2**32 - 1))
def test_the_kernel_starts_jobs_when_the_definition_does(workload: Make, rule: Rule, jobs: list, seed: int) -> None:
    work = workload(jobs, PROCESSORS)
    estimate = estimates(work, seed)
    assert simulate(work, rule, Known(estimate)).start.tolist() == Slow(work, rule, estimate).run()


@rules
@settings(deadline=None)
@given(jobs=JOBS, seed=st.integers(0, 2**32 - 1))
def test_every_job_runs_once_after_its_submit_on_processors_that_exist(
    workload: Make, rule: Rule, jobs: list, seed: int
) -> None:
    work = workload(jobs, PROCESSORS)
    schedule = simulate(work, rule, Known(estimates(work, seed)))
    assert (schedule.start >= work.submit).all()
    moments = np.unique([schedule.start, schedule.start + work.run])
    assert max(in_use(work, schedule, moment) for moment in moments) <= PROCESSORS
    assert sum(in_use(work, schedule, low) * (high - low) for low, high in pairwise(moments)) == int(
        work.run @ work.width
    )


@rules
@settings(deadline=None)
@given(jobs=JOBS, seed=st.integers(0, 2**32 - 1))
def test_the_first_waiting_job_waits_only_while_it_does_not_fit(
    workload: Make, rule: Rule, jobs: list, seed: int
) -> None:
    work = workload(jobs, PROCESSORS)
    schedule = simulate(work, rule, Known(estimates(work, seed)))
    for moment in np.unique([work.submit, schedule.start, schedule.start + work.run]):
        waiting = np.flatnonzero((work.submit <= moment) & (schedule.start > moment))
        if len(waiting):
            assert work.width[waiting[0]] > PROCESSORS - in_use(work, schedule, moment)


@rules
@pytest.mark.parametrize("estimate", ["run", "request"])
@settings(deadline=None)
@given(jobs=JOBS)
def test_backfilling_never_delays_a_reservation_when_no_job_outruns_its_estimate(
    workload: Make, rule: Rule, jobs: list, estimate: str
) -> None:
    work = workload(jobs, PROCESSORS)
    schedule = simulate(work, rule, Known(getattr(work, estimate)))
    reserved = schedule.reserved != easy.UNSET
    assert (schedule.start[reserved] <= schedule.reserved[reserved]).all()


@rules
@settings(deadline=None)
@given(jobs=JOBS, seed=st.integers(0, 2**32 - 1))
def test_the_order_of_rows_does_not_matter(workload: Make, rule: Rule, jobs: list, seed: int) -> None:
    work = workload(jobs, PROCESSORS)
    order = np.random.default_rng(seed).permutation(len(work))
    columns = {name: getattr(work, name)[order] for name in ("submit", "run", "request", "width", "row")}
    again = arranged(replace(work, jobs=taken(work.jobs, order), **columns), work.submit[order])
    assert again.row.tolist() == work.row.tolist()
    schedules = [simulate(each, rule, LastTwo(each)) for each in (work, again)]
    assert schedules[0].start.tolist() == schedules[1].start.tolist()


@rules
@settings(deadline=None)
@given(jobs=JOBS)
def test_the_last_two_are_the_last_two_that_ended_in_this_run(workload: Make, rule: Rule, jobs: list) -> None:
    work = workload(jobs, PROCESSORS)
    schedule = simulate(work, rule, LastTwo(work))
    end = schedule.start + work.run
    user = work.jobs.requests.texts[:, 0]
    assume(len({*zip(user.tolist(), end.tolist(), strict=True)}) == len(work))
    for job in range(len(work)):
        past = sorted(
            (end[j], work.run[j]) for j in range(len(work)) if user[j] == user[job] and end[j] < work.submit[job]
        )
        mean = (past[-1][1] + past[-2][1]) // 2 if len(past) > 1 else work.request[job]
        assert schedule.estimate[job] == min(mean, work.request[job])


def test_a_shorter_estimate_lets_a_job_pass_and_its_end_takes_the_request_as_limit(workload: Make) -> None:
    # one job holds half of the machine; the second needs all of it; the third fits beside the first if it is short
    work = workload([(0, 10, 10, 4, "ada"), (1, 5, 5, 8, "ada"), (2, 8, 20, 4, "bob")], PROCESSORS)
    starts = {
        seconds: simulate(work, RULES["easy"], Known(np.array([10, 5, seconds]))).start.tolist() for seconds in (8, 9)
    }
    assert starts == {8: [0, 10, 2], 9: [0, 10, 15]}
