"""CatBoost: one model of oblivious trees whose leaves hold all quantiles (``MultiQuantile``)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import catboost
import numpy as np

from rt_predictor_core.models.trees import ObliviousForest
from rt_predictor_training.members.member import Fitted, Task, as_shares, sample, verify


class _OnTree:
    def __init__(self, task: Task) -> None:
        self._on_tree = task.on_tree

    def after_iteration(self, _info: Any) -> bool:
        self._on_tree()
        return True


def fit(task: Task) -> Fitted:
    """Fit the quantiles with CatBoost and flatten the trees."""
    model = catboost.CatBoostRegressor(
        loss_function=f"MultiQuantile:alpha={','.join(str(level) for level in task.levels)}",
        iterations=task.trees,
        thread_count=task.threads,
        random_seed=task.seed,
        allow_writing_files=False,
        verbose=False,
        **task.parameters,
    )
    # on a GPU the library takes no callbacks
    callbacks = None if task.parameters.get("task_type") == "GPU" else [_OnTree(task)]
    model.fit(catboost.Pool(task.train.x, task.train.y), callbacks=callbacks)
    forest = flatten(model)
    rows = sample(task.train.x)
    verify("catboost", forest, model.predict(rows).reshape(len(rows), -1), rows)
    return Fitted(
        name="catboost",
        library_version=catboost.__version__,
        shape="oblivious",
        forest=forest,
        native={"members/catboost.cbm": _saved(model, "cbm")},
    )


def answers(native: Mapping[str, bytes], rows: np.ndarray) -> np.ndarray:
    """Return what the library says of rows, float64[n, levels], from its own files."""
    (content,) = native.values()
    model = catboost.CatBoost().load_model(blob=content)
    return np.asarray(model.predict(rows), float).reshape(len(rows), -1)


def importance(native: Mapping[str, bytes], features: int) -> np.ndarray:
    """Return each feature's share, float64[features], from the library's own files.

    CatBoost keeps no gains; it tells how much the answers change with a feature ("PredictionValuesChange").
    """
    (content,) = native.values()
    changes = np.array(catboost.CatBoost().load_model(blob=content).get_feature_importance(), float)
    return as_shares(np.append(changes, np.zeros(features - len(changes))))


def flatten(model: Any) -> ObliviousForest:
    """Return the model's trees as arrays, read from CatBoost's documented JSON format."""
    document = json.loads(_saved(model, "json"))
    scale, bias = document["scale_and_bias"]
    base = np.atleast_1d(np.array(bias, float))
    # by each feature's nan treatment, a missing value is below ("AsFalse", "AsIs": no comparison holds) or above
    features = {
        feature["feature_index"]: (feature["flat_feature_index"], feature["nan_value_treatment"] == "AsTrue")
        for feature in document["features_info"]["float_features"]
    }
    splits = [list(tree["splits"] or []) for tree in document["oblivious_trees"]]
    leaves = [np.array(tree["leaf_values"], float).reshape(-1, len(base)) for tree in document["oblivious_trees"]]
    flat = [split for tree in splits for split in tree]
    return ObliviousForest(
        feature=np.array([features[split["float_feature_index"]][0] for split in flat], np.int32),
        threshold=np.array([split["border"] for split in flat], np.float32),
        missing_high=np.array([features[split["float_feature_index"]][1] for split in flat], bool),
        first_split=np.cumsum([0, *map(len, splits)], dtype=np.int32),
        first_leaf=np.cumsum([0, *map(len, leaves)], dtype=np.int32)[:-1],
        leaf=scale * np.concatenate([np.zeros((0, len(base))), *leaves]),
        base=base,
    )


def _saved(model: Any, form: str) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        model.save_model(str(path), format=form)
        return path.read_bytes()
