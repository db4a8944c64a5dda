"""Ways to fit a member other than its own: what the options benchmark compares the members with.

Each takes a task and returns what answers for rows, float32[n, features] to float64[n, levels], and a remark.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import catboost
import lightgbm as lgb
import numpy as np
import xgboost as xgb

from rt_predictor_training.members import MEMBERS
from rt_predictor_training.members.member import Fold, Task

HELD_BACK = 0.1
"""Share of the rows, the newest, on which early stopping looks."""

PATIENCE = 0.1
"""Early stopping waits for this share of the rounds."""


FAILURES = (lgb.basic.LightGBMError, xgb.core.XGBoostError, catboost.CatBoostError)
"""What the libraries raise: an option that a library cannot do is a finding, not the end of the benchmark."""


class Answer(NamedTuple):
    """A fitted member: its quantiles for rows, and what is remarkable about the fit."""

    predict: Callable[[np.ndarray], np.ndarray]
    remark: str = ""


Fitter = Callable[[Task], Answer]


def member(name: str) -> Fitter:
    """Return the fit of training itself."""
    return lambda task: Answer(MEMBERS[name](task).forest.evaluate)


def xgboost_plain_matrix(task: Task) -> Answer:
    """Fit XGBoost from a ``DMatrix``: it holds a copy of the numbers and cuts them into bins itself."""
    return _xgboost(task, xgb.DMatrix(task.train.x, label=task.train.y, nthread=task.threads))


def xgboost_vector_leaves(task: Task) -> Answer:
    """Fit XGBoost with one tree for all levels per round, whose leaves hold a value for each."""
    return _xgboost(task, _binned(task, task.train), multi_strategy="multi_output_tree")


def xgboost_stopped(task: Task) -> Answer:
    """Fit XGBoost until the newest rows get no better."""
    older, newest = held_back(task)
    train = _binned(task, older.train)
    judge = _binned(task, newest, ref=train)
    booster = xgb.train(
        _xgboost_parameters(task),
        train,
        num_boost_round=task.trees,
        evals=[(judge, "newest")],
        early_stopping_rounds=_patience(task),
        verbose_eval=False,
    )
    best = booster[: booster.best_iteration + 1]
    return Answer(best.inplace_predict, f"{booster.best_iteration + 1} rounds")


def lightgbm_stopped(task: Task) -> Answer:
    """Fit LightGBM, each level until the newest rows get no better."""
    older, newest = held_back(task)
    parameters = {
        "objective": "quantile",
        "metric": "quantile",
        "num_threads": task.threads,
        "seed": task.seed,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
        **task.parameters,
    }
    train = lgb.Dataset(older.train.x, older.train.y, params=parameters, free_raw_data=False)
    judge = lgb.Dataset(newest.x, newest.y, reference=train, free_raw_data=False)
    boosters = [
        lgb.train(
            {**parameters, "alpha": level},
            train,
            num_boost_round=task.trees,
            valid_sets=[judge],
            callbacks=[lgb.early_stopping(_patience(task), verbose=False)],
        )
        for level in task.levels
    ]
    rounds = sorted(booster.best_iteration for booster in boosters)
    return Answer(
        lambda x: np.column_stack([booster.predict(x) for booster in boosters]), f"{rounds[0]}-{rounds[-1]} rounds"
    )


def catboost_stopped(task: Task) -> Answer:
    """Fit CatBoost until the newest rows get no better."""
    older, newest = held_back(task)
    loss = f"MultiQuantile:alpha={','.join(map(str, task.levels))}"
    model = catboost.CatBoostRegressor(task.trees, loss_function=loss, random_seed=task.seed, **task.parameters)
    model.set_params(thread_count=task.threads, allow_writing_files=False, verbose=False)
    model.fit(
        catboost.Pool(older.train.x, older.train.y),
        eval_set=catboost.Pool(newest.x, newest.y),
        early_stopping_rounds=_patience(task),
    )
    return Answer(model.predict, f"{model.tree_count_} rounds")


STOPPED: Mapping[str, Fitter] = {
    "xgboost": xgboost_stopped,
    "lightgbm": lightgbm_stopped,
    "catboost": catboost_stopped,
}
"""Early stopping, by member."""


def held_back(task: Task) -> tuple[Task, Fold]:
    """Return the task without its newest rows, and those; rows stand in submit order."""
    first = len(task.train) - int(HELD_BACK * len(task.train))
    parts = [Fold(task.train.x[rows], task.train.y[rows]) for rows in (slice(first), slice(first, None))]
    return replace(task, train=parts[0]), parts[1]


def _patience(task: Task) -> int:
    return max(5, int(PATIENCE * task.trees))


def _binned(task: Task, rows: Fold, ref: Any = None) -> Any:
    shared = {"max_bin": task.parameters.get("max_bin", 256), "nthread": task.threads}
    return xgb.QuantileDMatrix(rows.x, label=rows.y, ref=ref, **shared)


def _xgboost(task: Task, train: Any, **more: Any) -> Answer:
    booster = xgb.train({**_xgboost_parameters(task), **more}, train, num_boost_round=task.trees)
    return Answer(booster.inplace_predict)


def _xgboost_parameters(task: Task) -> dict[str, Any]:
    return {
        "objective": "reg:quantileerror",
        "quantile_alpha": list(task.levels),
        "nthread": task.threads,
        "seed": task.seed,
        **task.parameters,
    }
