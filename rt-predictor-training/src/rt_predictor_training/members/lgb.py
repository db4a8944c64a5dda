"""LightGBM: one booster per quantile (``objective=quantile``)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import lightgbm as lgb
import numpy as np

from rt_predictor_core.models.trees import BinaryForest
from rt_predictor_training.members.member import Fitted, Task, as_shares, floor_float32, sample, verify

# it would tell on the terminal of ports that it finds and of errors, which come as exceptions
_LOG = logging.getLogger("lightgbm")
_LOG.setLevel(logging.ERROR)
lgb.register_logger(_LOG)

_ZERO = np.float32(1e-35)
"""LightGBM's ``kZeroThreshold``."""

_DEFAULT_LEFT, _MISSING_SHIFT, _MISSING_NAN = 2, 2, 2


class OnTree:
    """Calls a function after each round."""

    def __init__(self, on_tree: Callable[[], None]) -> None:
        self._on_tree = on_tree

    def __call__(self, _environment: Any) -> None:
        """Call it."""
        self._on_tree()


Train = Callable[[Task], Callable[[dict[str, Any]], Any]]
"""From a task, how a booster of its rows is trained with LightGBM's parameters; several may be, one after another."""


def here(task: Task) -> Callable[[dict[str, Any]], Any]:
    """Train in this process; all boosters share one binned table."""
    rows = lgb.Dataset(task.train.x, task.train.y, free_raw_data=False)

    def train(parameters: dict[str, Any]) -> Any:
        parameters = {"num_threads": task.threads, **parameters}
        return lgb.train(parameters, rows, num_boost_round=task.trees, callbacks=[OnTree(task.on_tree)])

    return train


def parameters_of(task: Task, objective: str) -> dict[str, Any]:
    """Return LightGBM's parameters for an objective; those of the profile go before ours."""
    return {
        "objective": objective,
        "metric": "none",
        "seed": task.seed,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
        **task.parameters,
    }


def fit(task: Task, train: Train = here) -> Fitted:
    """Fit the quantiles with LightGBM, flatten the trees, verify."""
    parameters, trained = parameters_of(task, "quantile"), train(task)
    boosters = [trained({**parameters, "alpha": level}) for level in task.levels]
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


def answers(native: Mapping[str, bytes], rows: np.ndarray) -> np.ndarray:
    """Return what the library says of rows, float64[n, levels], from its own files; log-odds of a classifier."""
    boosters = [lgb.Booster(model_str=content.decode()) for content in native.values()]
    return np.column_stack([np.asarray(booster.predict(rows, raw_score=True)) for booster in boosters])


def importance(native: Mapping[str, bytes], features: int) -> np.ndarray:
    """Return each feature's share of the gain of all splits, the mean of all levels, from the library's own files."""
    boosters = [lgb.Booster(model_str=content.decode()) for content in native.values()]
    shares = np.mean([as_shares(np.array(booster.feature_importance("gain"), float)) for booster in boosters], axis=0)
    return as_shares(np.append(shares, np.zeros(features - len(shares))))


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
                threshold = _beside_zero(floor_float32(_numbers(tree, "threshold", float)))
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


def _beside_zero(threshold: np.ndarray) -> np.ndarray:
    """Return thresholds that have all values next to zero on one side, as LightGBM reads those as zero."""
    other = np.where(threshold >= 0.0, _ZERO, np.nextafter(-_ZERO, np.float32(-1.0)))
    return np.where(np.abs(threshold) <= _ZERO, other, threshold)


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
