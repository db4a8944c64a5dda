"""XGBoost: one booster with a tree per quantile and round (``reg:quantileerror``)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xgboost as xgb
from xgboost.callback import TrainingCallback

from rt_predictor_core.models.trees import BinaryForest
from rt_predictor_training.members.member import Fitted, Task, as_shares, next_below, sample, verify

_NO_CHILD = -1


MAX_BIN = 256
"""XGBoost's own number of bins, where a profile says nothing."""


class OnTree(TrainingCallback):
    """Calls a function after each round."""

    def __init__(self, on_tree: Callable[[], None]) -> None:
        super().__init__()
        self._on_tree = on_tree

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """Go on in any case."""
        del model, epoch, evals_log
        self._on_tree()
        return False


Train = Callable[[Task, dict[str, Any]], Any]
"""How a booster is trained with XGBoost's parameters."""


def here(task: Task, parameters: dict[str, Any]) -> Any:
    """Train in this process."""
    parameters = {"nthread": task.threads, **parameters}
    shared = {"max_bin": parameters.get("max_bin", MAX_BIN), "nthread": task.threads}
    train = xgb.QuantileDMatrix(task.train.x, label=task.train.y, **shared)
    return xgb.train(parameters, train, num_boost_round=task.trees, callbacks=[OnTree(task.on_tree)])


def fit(task: Task, train: Train = here) -> Fitted:
    """Fit the quantiles with XGBoost, flatten the trees, verify."""
    parameters = {
        "objective": "reg:quantileerror",
        "quantile_alpha": list(task.levels),
        "tree_method": "hist",
        "seed": task.seed,
        "verbosity": 0,
        **task.parameters,
    }
    booster = train(task, parameters)
    forest = flatten(booster, len(task.levels))
    rows = sample(task.train.x)
    native = booster.inplace_predict(rows).reshape(len(rows), -1).astype(float)
    verify("xgboost", forest, native, rows, rounded=task.trees)
    return Fitted(
        name="xgboost",
        library_version=xgb.__version__,
        shape="binary",
        forest=forest,
        native={"members/xgboost.ubj": bytes(booster.save_raw("ubj"))},
    )


def answers(native: Mapping[str, bytes], rows: np.ndarray) -> np.ndarray:
    """Return what the library says of rows, float64[n, levels], from its own files."""
    (content,) = native.values()
    booster = xgb.Booster(model_file=bytearray(content))
    return np.asarray(booster.inplace_predict(rows).reshape(len(rows), -1), float)


def importance(native: Mapping[str, bytes], features: int) -> np.ndarray:
    """Return each feature's share of the gain of all splits, float64[features], from the library's own files."""
    (content,) = native.values()
    gains = np.zeros(features)
    for name, gain in xgb.Booster(model_file=bytearray(content)).get_score(importance_type="total_gain").items():
        gains[int(name.removeprefix("f"))] = gain
    return as_shares(gains)


def flatten(booster: Any, levels: int) -> BinaryForest:
    """Return a booster's trees as arrays; the layout is XGBoost's documented JSON model schema."""
    model = json.loads(booster.save_raw("json"))["learner"]
    trees = model["gradient_booster"]["model"]["trees"]
    base = np.atleast_1d(json.loads(model["learner_model_param"]["base_score"])).astype(float)
    nodes = 0
    leaves: list[float] = []
    roots: list[int] = []
    columns: dict[str, list[np.ndarray]] = {
        name: [] for name in ("feature", "threshold", "left", "right", "missing_left")
    }
    for tree in trees:
        left = np.array(tree["left_children"])
        inner = np.flatnonzero(left != _NO_CHILD)
        place = np.empty(len(left), np.int32)
        place[inner] = nodes + np.arange(len(inner))
        outer = np.flatnonzero(left == _NO_CHILD)
        place[outer] = ~(len(leaves) + np.arange(len(outer)))
        values = np.array(tree["split_conditions"], np.float32)
        columns["feature"].append(np.array(tree["split_indices"], np.int32)[inner])
        columns["threshold"].append(next_below(values[inner]))
        columns["left"].append(place[left[inner]])
        columns["right"].append(place[np.array(tree["right_children"])[inner]])
        columns["missing_left"].append(np.array(tree["default_left"], bool)[inner])
        leaves.extend(values[outer].astype(float))
        roots.append(int(place[0]))
        nodes += len(inner)
    return BinaryForest(
        **{name: np.concatenate(parts) for name, parts in columns.items()},
        leaf=np.array(leaves),
        root=np.array(roots, np.int32),
        output=np.array(model["gradient_booster"]["model"]["tree_info"], np.int32),
        base=np.broadcast_to(base, levels).copy(),
    )
