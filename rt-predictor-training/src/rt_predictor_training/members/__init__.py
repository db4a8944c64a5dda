"""The members of the ensemble: each fits the same quantiles with one library and flattens itself into arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol

import numpy as np

from rt_predictor_training.members import cat, chance, lgb, xgb
from rt_predictor_training.members.chance import Chance
from rt_predictor_training.members.member import Fit, Fitted, Task

MEMBERS: dict[str, Fit] = {"xgboost": xgb.fit, "lightgbm": lgb.fit, "catboost": cat.fit}
"""How to fit each member, by the name that profiles, manifest and reports use."""


Answers = Callable[[Mapping[str, bytes], np.ndarray], np.ndarray]

ANSWERS: Final[dict[str, Answers]] = {
    "xgboost": xgb.answers,
    "lightgbm": lgb.answers,
    "catboost": cat.answers,
    "chance": lgb.answers,
}
"""What each member's library says of rows, float32[n, features], from its own files."""

Importance = Callable[[Mapping[str, bytes], int], np.ndarray]

IMPORTANCE: Final[dict[str, Importance]] = {
    "xgboost": xgb.importance,
    "lightgbm": lgb.importance,
    "catboost": cat.importance,
}
"""How much each member rests on each of its features, float64[features] that sum to 1, from its library's own files."""


class Engine(Protocol):
    """Where members are fitted: on this machine, or on the workers of a cluster."""

    def member(self, name: str, task: Task) -> Fitted:
        """Fit a member of ``MEMBERS``."""
        ...

    def chance(self, task: Task) -> Chance:
        """Fit the probability to run into the request."""
        ...


class _Local:
    def member(self, name: str, task: Task) -> Fitted:
        return MEMBERS[name](task)

    def chance(self, task: Task) -> Chance:
        return chance.fit(task)


LOCAL: Final[Engine] = _Local()
"""This process, one member after another, each with all threads of the profile."""
