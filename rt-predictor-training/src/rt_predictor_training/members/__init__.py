"""The members of the ensemble: each fits the same quantiles with one library and flattens itself into arrays."""

from __future__ import annotations

from typing import Final, Protocol

from rt_predictor_training.members import cat, chance, lgb, xgb
from rt_predictor_training.members.chance import Chance
from rt_predictor_training.members.member import Fit, Fitted, Task

MEMBERS: dict[str, Fit] = {"xgboost": xgb.fit, "lightgbm": lgb.fit, "catboost": cat.fit}
"""How to fit each member, by the name that profiles, manifest and reports use."""


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
