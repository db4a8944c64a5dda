"""LightGBM: one booster per quantile (``objective=quantile``)."""

from __future__ import annotations

from typing import Any

import lightgbm as lgb
import numpy as np

from rt_predictor_core.models.trees import BinaryForest
from rt_predictor_training.members.member import Fitted, Task, floor_float32, sample, verify

_DEFAULT_LEFT, _MISSING_SHIFT, _MISSING_NAN = 2, 2, 2


def fit(task: Task) -> Fitted:
    """Fit the quantiles with LightGBM and flatten the trees."""
    parameters = {
        "objective": "quantile",
        "metric": "none",
        "num_threads": task.threads,
        "seed": task.seed,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
        **task.parameters,
    }
    train = lgb.Dataset(task.train.x, task.train.y, params=parameters, free_raw_data=False)
    boosters = [_fit_level(parameters, level, train, task) for level in task.levels]
    forest = flatten(boosters)
    rows = sample(task.train.x)
    verify("lightgbm", forest, np.column_stack([booster.predict(rows) for booster in boosters]), rows)
    return Fitted(
        name="lightgbm",
        library_version=lgb.__version__,
        shape="binary",
        forest=forest,
        native={
            f"members/lightgbm-q{round(100 * level):02d}.txt": booster.model_to_string().encode()
            for level, booster in zip(task.levels, boosters, strict=True)
        },
    )


def _fit_level(parameters: dict[str, Any], level: float, train: Any, task: Task) -> Any:
    def on_tree(_environment: Any) -> None:
        task.on_tree()

    return lgb.train(
        {**parameters, "alpha": level},
        train,
        num_boost_round=task.trees,
        callbacks=[on_tree],
    )


def flatten(boosters: list[Any]) -> BinaryForest:
    """Return the trees of one booster per level as arrays, read from LightGBM's text format (version v4)."""
    columns: dict[str, list[np.ndarray]] = {
        name: [] for name in ("feature", "threshold", "left", "right", "missing_left", "leaf")
    }
    roots, outputs = [], []
    nodes = leaves = 0
    for output, booster in enumerate(boosters):
        for tree in _trees(booster.model_to_string()):
            columns["leaf"].append(_numbers(tree, "leaf_value", float))
            outputs.append(output)
            inner = int(tree["num_leaves"]) - 1
            roots.append(nodes if inner else ~leaves)
            if inner:
                threshold = floor_float32(_numbers(tree, "threshold", float))
                columns["feature"].append(_numbers(tree, "split_feature", np.int32))
                columns["threshold"].append(threshold)
                for side in ("left", "right"):
                    child = _numbers(tree, f"{side}_child", np.int32)
                    columns[side].append(np.where(child >= 0, child + nodes, child - leaves).astype(np.int32))
                columns["missing_left"].append(_missing_left(_numbers(tree, "decision_type", np.int32), threshold))
            nodes += inner
            leaves += inner + 1
    return BinaryForest(
        **{name: np.concatenate(parts) if parts else np.zeros(0, np.int32) for name, parts in columns.items()},
        root=np.array(roots, np.int32),
        output=np.array(outputs, np.int32),
        base=np.zeros(len(boosters)),
    )


def _missing_left(decision: np.ndarray, threshold: np.ndarray) -> np.ndarray:
    # bits of decision_type: 1 default left, 2-3 missing type; a feature that was never missing in training
    # reads a missing value as zero
    own_way = (decision >> _MISSING_SHIFT) & 3 == _MISSING_NAN
    return np.where(own_way, (decision & _DEFAULT_LEFT) != 0, threshold >= 0.0)


def _trees(text: str) -> list[dict[str, str]]:
    blocks = text.partition("\nend of trees")[0].split("\nTree=")[1:]
    return [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in blocks]


def _numbers(tree: dict[str, str], name: str, dtype: Any) -> np.ndarray:
    return np.array(tree[name].split(), dtype)
