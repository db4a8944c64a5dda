"""What the options benchmark tries: for each member, one thing at a time done otherwise than the profile does it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fitters import STOPPED, Fitter, member, xgboost_plain_matrix, xgboost_vector_leaves
from rt_predictor_training.profiles import Profile

OWN = "as in the profile"


RATE = {"xgboost": "eta", "lightgbm": "learning_rate", "catboost": "learning_rate"}
"""What each library calls its learning rate."""


@dataclass(frozen=True)
class Variant:
    """One thing done otherwise.

    Attributes
    ----------
    name: for the table. fit: how; the member's own way if none.
    parameters: of the library, over the profile's. rounds, rate, rows: factors on the profile's boosting rounds,
    learning rate, and training rows. recent: which rows, see ``drawn``.
    """

    name: str
    fit: Fitter | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    rounds: float = 1.0
    rate: float = 1.0
    rows: float = 1.0
    recent: bool = False
    other_seed: bool = False

    def settings(self, member: str, own: Mapping[str, Any]) -> dict[str, Any]:
        """Return the library's parameters for a member whose ``own`` are those of the profile."""
        rate = RATE[member]
        scaled = {rate: self.rate * own[rate]} if rate in own else {}
        return {**own, **scaled, **self.parameters}


def _with(name: str, **parameters: Any) -> Variant:
    return Variant(name, parameters=parameters)


def _each(name: str, *values: float) -> tuple[Variant, ...]:
    return tuple(_with(f"{name} {value}", **{name: value}) for value in values)


def _halved(name: str = "", **parameters: Any) -> Variant:
    told = ", ".join(filter(None, (name, "half the rounds at twice the rate")))
    return Variant(told, parameters=parameters, rounds=0.5, rate=2.0)


def _leaves(number: int) -> dict[str, Any]:
    return {"grow_policy": "lossguide", "max_leaves": number, "max_depth": 0}


_XGBOOST = (
    Variant("DMatrix instead of QuantileDMatrix", fit=xgboost_plain_matrix),
    Variant("one tree for all levels", fit=xgboost_vector_leaves),
    *_each("max_bin", 64, 128, 256),
    *_each("max_depth", 5, 6, 7),
    _with("lossguide, 63 leaves", **_leaves(63)),
    _with("lossguide, 31 leaves", **_leaves(31)),
    _halved("max_depth 6", max_depth=6),
    _halved("max_depth 5", max_depth=5),
    _halved("lossguide, 31 leaves", **_leaves(31)),
    *_each("subsample", 1.0, 0.5),
    *_each("colsample_bytree", 1.0, 0.6, 0.4),
    _with("colsample_bynode 0.4", colsample_bytree=1.0, colsample_bynode=0.4),
)

_LIGHTGBM = (
    # with its default of 4 steps the library ends in a failed check on many a log; 16 and more have not been seen to
    _with("quantised gradients", use_quantized_grad=True),
    _with("quantised gradients, 16 steps", use_quantized_grad=True, num_grad_quant_bins=16),
    _with(
        "quantised gradients, 16 steps, leaves renewed",
        use_quantized_grad=True,
        num_grad_quant_bins=16,
        quant_train_renew_leaf=True,
    ),
    *_each("max_bin", 63, 127, 255),
    _with("extra_trees", extra_trees=True),
    *_each("num_leaves", 31, 63),
    _with("no bagging", bagging_fraction=1.0, bagging_freq=0),
    _with("bagging_fraction 0.5", bagging_fraction=0.5, bagging_freq=1),
    _with("GOSS instead of bagging", data_sample_strategy="goss", bagging_freq=0),
    *_each("feature_fraction", 1.0, 0.4),
    _with("columns first", force_row_wise=False, force_col_wise=True),
)

_CATBOOST = (
    *_each("depth", 5, 6, 7),
    *_each("border_count", 32, 64, 128, 254),
    _with("boosting_type Plain", boosting_type="Plain"),
    _with("Bernoulli, subsample 0.8", bootstrap_type="Bernoulli", subsample=0.8),
    _with("Bernoulli, subsample 0.5", bootstrap_type="Bernoulli", subsample=0.5),
    *_each("leaf_estimation_iterations", 1),
    *_each("rsm", 0.6, 0.4),
    _with("score_function L2", score_function="L2"),
)

_SAMPLES = (
    Variant("newest quarter of the rows", rows=0.25),
    Variant("newest half of the rows", rows=0.5),
    Variant("a quarter, recent ones likelier", rows=0.25, recent=True),
    Variant("half, recent ones likelier", rows=0.5, recent=True),
)
_OLDER = Variant("as many, of older rows too, recent ones likelier", recent=True)


def variants(name: str, profile: Profile, *, older: bool) -> tuple[Variant, ...]:
    """Return what is tried with a member; what changes nothing of the profile is left out.

    ``older``: whether there are older rows than those that the profile fits on.
    """
    own = profile.members[name]
    special = {"xgboost": _XGBOOST, "lightgbm": _LIGHTGBM, "catboost": _CATBOOST}[name]
    changing = [
        variant
        for variant in special
        if variant.fit or any(own.get(key) != value for key, value in variant.parameters.items())
    ]
    stopped = Variant("early stopping on the newest rows", fit=STOPPED[name])
    samples = (*_SAMPLES, _OLDER) if older else _SAMPLES
    return (Variant("the same, another seed", other_seed=True), *changing, _halved(), stopped, *samples)


def fitter(name: str, variant: Variant) -> Fitter:
    """Return how a variant of a member is fitted."""
    return variant.fit or member(name)


def drawn(pool: np.ndarray, wanted: int, rng: np.random.Generator | None) -> np.ndarray:
    """Return ``wanted`` of the rows ``pool``, int64 in submit order: the newest, or with ``rng`` random ones.

    A row's weight halves with each quarter of ``wanted`` that it is older, down to a tenth, so that every age keeps a
    part; drawn without replacement by exponential keys (Efraimidis and Spirakis, Inf. Proc. Letters 97(5), 2006).
    """
    if rng is None or wanted >= len(pool):
        return pool[-wanted:]
    age = np.arange(len(pool))[::-1]
    weight = np.maximum(0.5 ** (4.0 * age / wanted), 0.1)
    keys = rng.exponential(size=len(pool)) / weight
    return np.sort(pool[np.argpartition(keys, wanted)[:wanted]])
