"""The comparison: every scheduler with every input, on the log and on shaken copies of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from rt_predictor_training.profiles import Profile
from rt_predictor_training.progress import Progress
from rt_predictor_training.simulation.estimators import Ensemble, Known, LastTwo
from rt_predictor_training.simulation.forecasters import Forecasters, train, warm_up_jobs
from rt_predictor_training.simulation.measures import measures
from rt_predictor_training.simulation.names import FORECASTS
from rt_predictor_training.simulation.replay import RULES, Estimator, simulate
from rt_predictor_training.simulation.workload import Workload, shaken
from rt_predictor_training.stages import Stages


@dataclass(frozen=True)
class Plan:
    """What to compare.

    Attributes
    ----------
    schedulers, inputs: some of ``names.SCHEDULERS`` and ``names.INPUTS``.
    blocks: how often the ensemble is trained. shakes: shaken copies, of seeds 1 and up.
    shake_seconds: greatest move of a submit [s].
    """

    schedulers: tuple[str, ...]
    inputs: tuple[str, ...]
    blocks: int
    shakes: int
    shake_seconds: int
    profile: Profile


@dataclass(frozen=True)
class Result:
    """Measures of one scheduler with one input: of all jobs, and of those after the warm-up; of the log, and shaken."""

    scheduler: str
    estimate: str
    whole: dict[str, float]
    late: dict[str, float]
    shaken_whole: tuple[dict[str, float], ...]
    shaken_late: tuple[dict[str, float], ...]


@dataclass(frozen=True)
class Study:
    """All results in the order of the plan, and how long each stage took [s]."""

    plan: Plan
    workload: Workload
    results: tuple[Result, ...]
    stage_seconds: dict[str, float]


def compare(workload: Workload, plan: Plan, progress: Progress) -> Study:
    """Run everything. Raises Problem LOG_TOO_SMALL where the ensemble cannot be trained."""
    stages = Stages(progress)
    forecasters = _trained(workload, plan, stages) if FORECASTS & set(plan.inputs) else Forecasters([], [])
    copies = [workload, *(shaken(workload, seed, plan.shake_seconds) for seed in range(1, plan.shakes + 1))]
    pairs = [(scheduler, name) for scheduler in plan.schedulers for name in plan.inputs]
    runs: dict[tuple[str, str], list[tuple[dict[str, float], dict[str, float]]]] = {pair: [] for pair in pairs}
    with stages("simulate", len(pairs) * len(copies)):
        for done, (copy, pair) in enumerate(product(copies, pairs)):
            progress.advance(done)
            schedule = simulate(copy, RULES[pair[0]], _estimator(pair[1], copy, forecasters))
            late = copy.row >= warm_up_jobs(len(copy))
            runs[pair].append((measures(copy, schedule, copy.row >= 0), measures(copy, schedule, late)))
    results = tuple(_result(scheduler, name, runs[scheduler, name]) for scheduler, name in pairs)
    return Study(plan, workload, results, stages.seconds)


def _trained(workload: Workload, plan: Plan, stages: Stages) -> Forecasters:
    reference = simulate(workload, RULES["easy"], Known(workload.request)).start
    with stages("fit", plan.blocks) as on_block:
        return train(workload, reference, plan.profile, plan.blocks, on_block)


def _estimator(name: str, workload: Workload, forecasters: Forecasters) -> Estimator:
    if name == "last2":
        return LastTwo(workload)
    if name in FORECASTS:
        return Ensemble(workload, forecasters, most_likely=name == "most_likely")
    return Known({"request": workload.request, "true": workload.run}[name])


def _result(scheduler: str, name: str, runs: Sequence[tuple[dict[str, float], dict[str, float]]]) -> Result:
    (whole, late), shakes = runs[0], runs[1:]
    return Result(scheduler, name, whole, late, tuple(run[0] for run in shakes), tuple(run[1] for run in shakes))
