"""Devices: which libraries can train on a GPU here, found out by trying before the log is read."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

import catboost
import lightgbm
import numpy as np
import xgboost

from rt_predictor_formats.errors import Problem
from rt_predictor_training.members import cat, lgb
from rt_predictor_training.members.member import Fold, Task
from rt_predictor_training.profiles import Profile

ON_CUDA: Final[Mapping[str, Mapping[str, str]]] = {
    "xgboost": {"device": "cuda"},
    "lightgbm": {"device_type": "cuda"},
    "catboost": {"task_type": "GPU"},
}
"""The parameter of each library that moves it to the GPU."""

_ROWS, _ROUNDS = 256, 2
_LEVELS = (0.25, 0.5)


def on_device(profile: Profile, device: str) -> tuple[Profile, tuple[str, ...]]:
    """Return the profile with every library on the device that can use it, and notes on those that stay on the CPU.

    Raises Problem DEVICE_UNAVAILABLE, which says why, if none can.
    """
    if device == "cpu":
        return profile, ()
    reasons = {name: why for name in profile.members if (why := _why_not(name))}
    if len(reasons) == len(profile.members):
        raise Problem(
            "DEVICE_UNAVAILABLE",
            "no library can train on CUDA here: " + "; ".join(f"{name}: {why}" for name, why in reasons.items()),
            place="--device cuda",
            remedy="leave --device out, or install the libraries' CUDA builds on a machine with an NVIDIA driver",
        )
    moved = {
        name: dict(parameters) if name in reasons else {**parameters, **ON_CUDA[name]}
        for name, parameters in profile.members.items()
    }
    notes = tuple(f"{name} stays on the CPU: {why}" for name, why in reasons.items())
    return replace(profile, members=moved), notes


def _why_not(name: str) -> str | None:
    """Return in one line why a library cannot train quantiles on CUDA here; None if it can."""
    random = np.random.default_rng(0)
    x, y = random.random((_ROWS, 3), np.float32), random.random(_ROWS)
    try:
        with warnings.catch_warnings(), _quiet():
            warnings.simplefilter("ignore")
            return _PROBES[name](x, y)
    except (xgboost.core.XGBoostError, lightgbm.basic.LightGBMError, catboost.CatBoostError) as error:
        return str(error).strip().splitlines()[0]


@contextmanager
def _quiet() -> Iterator[None]:
    """Let nothing reach stderr: LightGBM writes there what it raises as well."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _xgboost(x: np.ndarray, y: np.ndarray) -> str | None:
    if not xgboost.build_info()["USE_CUDA"]:
        return "this build has no CUDA (xgboost instead of xgboost-cpu has)"
    objective = {"objective": "reg:quantileerror", "quantile_alpha": list(_LEVELS), "verbosity": 0}
    booster = xgboost.train({**objective, **ON_CUDA["xgboost"]}, xgboost.QuantileDMatrix(x, label=y), _ROUNDS)
    # it goes on on the CPU by itself where there is no GPU
    used = str(json.loads(booster.save_config())["learner"]["generic_param"]["device"])
    return None if used.startswith("cuda") else "no GPU was found"


def _lightgbm(x: np.ndarray, y: np.ndarray) -> str | None:
    lgb.fit(_task(x, y, "lightgbm"))
    return None


def _catboost(x: np.ndarray, y: np.ndarray) -> str | None:
    cat.fit(_task(x, y, "catboost"))
    return None


def _task(x: np.ndarray, y: np.ndarray, name: str) -> Task:
    return Task(Fold(x, y), _LEVELS, _ROUNDS, ON_CUDA[name], threads=1, seed=0, on_tree=lambda: None)


_PROBES: Final[Mapping[str, Callable[[np.ndarray, np.ndarray], str | None]]] = {
    "xgboost": _xgboost,
    "lightgbm": _lightgbm,
    "catboost": _catboost,
}
