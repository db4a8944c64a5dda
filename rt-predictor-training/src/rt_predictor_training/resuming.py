"""Members that an interrupted run had fitted are not fitted again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from hashlib import blake2b
from importlib.metadata import version
from typing import Any

import catboost
import lightgbm
import numpy as np
import xgboost

from rt_predictor_core.models.trees import BinaryForest
from rt_predictor_training.members import Engine
from rt_predictor_training.members.chance import Chance
from rt_predictor_training.members.member import Fitted, Task
from rt_predictor_training.packing import packed_files, packed_member, unpacked_files, unpacked_member, within
from rt_predictor_training.stages import Stages

_ROUNDS = "rounds"


class Resuming:
    """An engine that first looks whether a member was fitted to the same task already."""

    def __init__(self, engine: Engine, stages: Stages) -> None:
        self._engine, self._stages = engine, stages

    def member(self, name: str, task: Task) -> Fitted:
        """See ``members.Engine``."""
        counted = _Counted(task)
        return self._stages.kept(
            name,
            key_of(name, task),
            lambda: self._engine.member(name, counted.task),
            lambda fitted: {**packed_member(fitted), _ROUNDS: np.array(counted.rounds)},
            lambda arrays: unpacked_member(_told(arrays, task)),
        )

    def chance(self, task: Task) -> Chance:
        """See ``members.Engine``."""
        counted = _Counted(task)
        return self._stages.kept(
            "chance",
            key_of("chance", task),
            lambda: self._engine.chance(counted.task),
            lambda chance: {**packed_files(chance.forest, chance.native), _ROUNDS: np.array(counted.rounds)},
            lambda arrays: _chance(_told(arrays, task)),
        )


class _Counted:
    """A task that counts its rounds, so that progress can be told when they need not be done again."""

    def __init__(self, task: Task) -> None:
        self.rounds = 0
        self._task = task
        self.task = replace(task, on_tree=self._on_tree)

    def _on_tree(self) -> None:
        self.rounds += 1
        self._task.on_tree()


def key_of(name: str, task: Task) -> str:
    """Return what tells one task from another: its data, its parameters and the release; 32 hex digits."""
    releases = [library.__version__ for library in (xgboost, lightgbm, catboost)]
    releases.append(version("rt-predictor-training"))
    told: list[Any] = [name, task.levels, task.trees, dict(task.parameters), task.seed, releases]
    digest = blake2b(json.dumps(told).encode(), digest_size=16)
    for array in (task.train.x, task.train.y):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _told(arrays: Mapping[str, np.ndarray], task: Task) -> Mapping[str, np.ndarray]:
    for _ in range(int(arrays[_ROUNDS])):
        task.on_tree()
    return arrays


def _chance(arrays: Mapping[str, np.ndarray]) -> Chance:
    return Chance(BinaryForest.from_arrays(within("forest", arrays)), unpacked_files(arrays))
