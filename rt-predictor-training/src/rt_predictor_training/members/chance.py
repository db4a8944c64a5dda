"""The probability to run into the requested wallclock: a classifier beside the quantiles.

Quantiles say little about what happens at the limit itself, where all jobs that would have run longer pile up:
censored at the request, in the words of Powell, Journal of Econometrics 32(1), 1986.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np

from rt_predictor_core.models.trees import BinaryForest
from rt_predictor_training.members.lgb import Train, flatten, here, parameters_of
from rt_predictor_training.members.member import Task, sample, verify

LONGEST_STEP = 5.0
"""Most that a leaf may change the log-odds, before the learning rate: one job among many of which all is certain would
else move them by thousands, as the gradient is then divided by hardly anything."""


@dataclass(frozen=True)
class Chance:
    """The trees, which give log-odds, and the library's own file."""

    forest: BinaryForest
    native: dict[str, bytes]


def fit(task: Task, train: Train = here) -> Chance:
    """Fit the trees; ``task.train.y`` is 1 for a job that ran into its request, else 0."""
    happened = float(task.train.y.sum())
    if happened in {0.0, float(len(task.train))}:
        return constant((happened + 0.5) / (len(task.train) + 1.0))
    booster = train(task)({"max_delta_step": LONGEST_STEP, **parameters_of(task, "binary")})
    forest = flatten([booster])
    rows = sample(task.train.x)
    verify("lightgbm", forest, np.asarray(booster.predict(rows, raw_score=True)).reshape(-1, 1), rows)
    return Chance(forest, {"members/lightgbm-chance.txt": booster.model_to_string().encode()})


def constant(probability: float) -> Chance:
    """Return trees that give every job the same probability."""
    none = np.zeros(0, np.int32)
    forest = BinaryForest(
        feature=none,
        threshold=np.zeros(0, np.float32),
        left=none,
        right=none,
        missing_left=np.zeros(0, bool),
        leaf=np.array([log(probability / (1.0 - probability))]),
        root=np.array([~0], np.int32),
        output=np.zeros(1, np.int32),
        base=np.zeros(1),
    )
    return Chance(forest, {})
