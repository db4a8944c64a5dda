"""The backtest: walk through a whole log as if each day were today, beside what others would have said.

Jobs in submit order. The first 30 % warm up: on their last third blend weights and calibration are learnt. The rest
falls into blocks of equal counts; before each the members are fitted on the jobs that had ended by its first submit,
and within it history and calibration follow every job that had ended before each submit.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from rt_predictor_core.history.state import State
from rt_predictor_core.models.forecast import Forecasts
from rt_predictor_formats.errors import Problem
from rt_predictor_training.ablation import FAMILIES, ablations
from rt_predictor_training.baselines import baselines
from rt_predictor_training.checkpoint import Checkpoint
from rt_predictor_training.course import Course
from rt_predictor_training.fit import RISKS
from rt_predictor_training.ingest import FEWEST_JOBS, Intake, ingest
from rt_predictor_training.outcome import Ablation, Method, Outcome
from rt_predictor_training.profiles import Profile
from rt_predictor_training.progress import Progress
from rt_predictor_training.rivals import nrel, request_interval
from rt_predictor_training.stages import Stages
from rt_predictor_training.walk import Block, Walk

WARM_UP = 0.3
"""Share of the jobs, oldest first, that are only learnt from."""

LEARNING = 0.1
"""The last part of the warm-up, on which blend weights and calibration begin."""

BLOCKS = 24
"""How often the models are trained."""

ABLATION_BLOCKS = 8
"""Ablations are measured on this many blocks spread over the evaluated jobs."""


@dataclass(frozen=True)
class Plan:
    """How to test: how many blocks, how long at most [s], and whether to measure what each family is worth.

    After ``most_seconds`` no new members are fitted: those that there are forecast the rest.
    """

    blocks: int = BLOCKS
    most_seconds: float = float("inf")
    ablate: bool = True


def backtest(
    trace: str, intake: Intake, profile: Profile, plan: Plan, progress: Progress, memory: Checkpoint | None = None
) -> Outcome:
    """Test the ensemble on a log, beside the baselines and the rivals.

    Raises Problem as ``ingest`` does, and LOG_TOO_SMALL where the blocks would be empty.
    """
    begin, stages = time.monotonic(), Stages(progress)
    with stages("read", unit="bytes"):
        jobs = ingest(intake, progress.advance)
    with stages("features", unit="events"):
        course = Course.of(jobs, State(), on_progress=progress.advance)
    blocks = blocks_of(len(course), plan.blocks)
    walk = Walk(course, profile, blocks, lambda _: None, memory)
    fitted = _walked(walk, blocks, begin + plan.most_seconds, stages)
    scored = blocks[1:]
    worth: tuple[Ablation, ...] = ()
    with stages("rivals", len(scored)) as advance:
        methods = _methods(walk, course, scored, profile, advance)
    if plan.ablate and time.monotonic() - begin < plan.most_seconds:
        some = scored[:: max(1, len(scored) // ABLATION_BLOCKS)][:ABLATION_BLOCKS]
        with stages("ablations", len(FAMILIES) + 1) as advance:
            worth = ablations(course, profile, walk.forecaster.target, some, advance)
    outcome = _outcome(trace, walk, course, methods)
    return replace(outcome, blocks=fitted, ablations=worth, seconds=round(time.monotonic() - begin, 1))


def blocks_of(jobs: int, blocks: int) -> list[Block]:
    """Return the block that is only learnt from, and the evaluated ones. Raises Problem LOG_TOO_SMALL."""
    first = int(WARM_UP * jobs)
    edges = np.linspace(first, jobs, blocks + 1).astype(int)
    if jobs < FEWEST_JOBS or (np.diff(edges) < 1).any():
        raise Problem(
            "LOG_TOO_SMALL",
            f"{jobs} jobs that ran are too few for {blocks} blocks",
            place="--data",
            remedy=f"give a log of at least {FEWEST_JOBS} jobs, or fewer --blocks",
        )
    learnt = Block(int((WARM_UP - LEARNING) * jobs), first)
    return [learnt, *(Block(low, high) for low, high in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))]


def _walked(walk: Walk, blocks: list[Block], deadline: float, stages: Stages) -> int:
    """Walk all blocks and return before how many of the evaluated ones members were fitted."""
    fitted = 0
    with stages("backtest", len(blocks)) as advance:
        for number, block in enumerate(blocks):
            late = time.monotonic() > deadline
            walk.step(number, Block(block.first, block.last, fit=not late))
            fitted += number > 0 and not late
            advance()
    return fitted


def _methods(
    walk: Walk, course: Course, scored: list[Block], profile: Profile, advance: Callable[[], None]
) -> tuple[Method, ...]:
    rows, first = _evaluated(walk, scored), scored[0].first
    target = walk.forecaster.target
    ensemble = walk.forecasts(rows)
    methods = [Method("ensemble", "ensemble", ensemble.median, ensemble.quantiles, ensemble.interval)]
    for name in walk.said:
        member = walk.forecasts(rows, name)
        methods.append(Method(name, "member", member.median, member.quantiles, member.interval))
    points = baselines(course.requests, course.events, target)
    methods += [Method(name, "baseline", point[first:]) for name, point in points.items()]
    methods.append(Method("nrel", "model", nrel(course, scored, profile.threads, advance)))
    median, interval = request_interval(course, first, target)
    methods.append(Method("request_interval", "model", median, interval=interval))
    return tuple(methods)


def _evaluated(walk: Walk, scored: list[Block]) -> slice:
    return slice(scored[0].first - walk.first, scored[-1].last - walk.first)


def _outcome(trace: str, walk: Walk, course: Course, methods: tuple[Method, ...]) -> Outcome:
    first = len(course) - len(methods[0].point)
    forecasts: Forecasts = walk.forecasts(slice(first - walk.first, len(course) - walk.first))
    run, request = course.run[first:], course.wallclock_req[first:]
    return Outcome(
        trace=trace,
        jobs=course.facts.jobs,
        left_out={"never ran": course.facts.jobs - len(course), "warm-up": first},
        blocks=0,
        seconds=0.0,
        levels=tuple(forecasts.levels.tolist()),
        submit_time=course.submit[first:],
        run=run,
        wallclock_req=request,
        tier=forecasts.tier,
        block=walk.block[first - walk.first :] - 1,
        at_limit=forecasts.at_limit(run),
        methods=methods,
        exceeds=forecasts.exceeds,
        most_likely=forecasts.most_likely,
        bounds={risk: forecasts.wallclock(risk).astype(np.float64) for risk in RISKS},
        leeway=walk.forecaster.target.leeway,
    )
