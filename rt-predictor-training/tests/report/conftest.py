"""Outcomes of made-up backtests: run times as on a real cluster, forecasts that are about right."""

from collections.abc import Callable

import numpy as np
import pytest

from rt_predictor_training.outcome import Ablation, Method, Outcome

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
NORMAL = np.array([-1.645, -0.674, 0.0, 0.674, 1.645])
"""Quantiles of the standard normal distribution at LEVELS."""

Make = Callable[..., Outcome]


def outcome(
    jobs: int, seed: int = 7, *, requests: bool = True, ablations: bool = True, trace: str = "a cluster"
) -> Outcome:
    random = np.random.default_rng(seed)
    spread = random.uniform(0.3, 1.2, jobs)
    centre = random.normal(7.5, 1.8, jobs)
    free = np.exp(centre + spread * random.normal(size=jobs))
    request = np.ceil(np.exp(centre + random.uniform(0.5, 2.5, jobs)) / 1800) * 1800
    at_limit = (free >= request) if requests else np.zeros(jobs, bool)
    run = np.maximum(np.where(at_limit, request, free), 1.0)
    quantiles = np.exp(centre[:, None] + spread[:, None] * NORMAL)
    last2 = run[random.permutation(jobs)]
    methods = (
        Method("ensemble", "ensemble", quantiles[:, 2], quantiles, quantiles[:, [0, -1]]),
        Method("lightgbm", "member", quantiles[:, 2] * 1.1, quantiles * 1.1, quantiles[:, [0, -1]] * 1.1),
        Method("request", "baseline", request),
        Method("last2", "baseline", last2),
        Method("user_mean", "baseline", np.sqrt(last2 * run)),
    )
    return Outcome(
        trace=trace,
        jobs=jobs * 2,
        left_out={"warm-up": jobs, "cancelled before its start": 3},
        blocks=12,
        seconds=83.4,
        levels=LEVELS,
        submit_time=1_577_836_800 + np.sort(random.integers(0, 500 * 86_400, jobs)),
        run=run,
        wallclock_req=request if requests else np.full(jobs, np.nan),
        tier=random.integers(0, 5, jobs).astype(np.uint8),
        block=np.sort(random.integers(0, 12, jobs)).astype(np.int32),
        at_limit=at_limit,
        methods=methods,
        exceeds=random.beta(0.4, 6.0, jobs) if requests else np.full(jobs, np.nan),
        most_likely=quantiles[:, 2] * 0.8,
        bounds={
            risk: np.minimum(np.exp(centre + spread * z), request)
            for risk, z in ((0.01, 2.326), (0.05, 1.645), (0.1, 1.282), (0.25, 0.674))
        },
        ablations=(Ablation("history", 1.1, 2.3), Ablation("names", 1.1, 1.25), Ablation("calendar", 1.1, 1.098))
        if ablations
        else (),
    )


@pytest.fixture(scope="session")
def make() -> Make:
    return outcome
