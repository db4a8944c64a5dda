"""The training calls of the libraries on the workers; all else of a member is as on one machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import dask.array as da
import lightgbm as lgb
import numpy as np
from distributed import Client, Future, get_worker
from xgboost import dask as xgb

from rt_predictor_training.cluster.rounds import Teller
from rt_predictor_training.members import cat
from rt_predictor_training.members.lgb import OnTree as AfterLightGBM
from rt_predictor_training.members.member import Fitted, Fold, Task
from rt_predictor_training.members.xgb import MAX_BIN
from rt_predictor_training.members.xgb import OnTree as AfterXGBoost

# what scikit-learn's wrapper would fill in; unset, LightGBM resolves the profile's names as it does on one machine
_UNSET: dict[str, None] = dict.fromkeys(set(lgb.LGBMRegressor().get_params()) - {"n_jobs"})


@dataclass(frozen=True)
class Dealt:
    """A fold on the workers: of ``n`` workers, number ``i`` holds its rows ``i``, ``i + n``, ...

    Every worker so has jobs of all times, as LightGBM lets each find the bins of some features in its own rows.

    Attributes
    ----------
    x, y: one part per worker, in the order of ``threads``. threads: of each worker, by its address.
    """

    client: Client
    x: list[Future]
    y: list[Future]
    rows: int
    columns: int
    threads: dict[str, int]

    @classmethod
    def of(cls, client: Client, fold: Fold, threads: dict[str, int]) -> Dealt:
        """Send each worker its rows."""
        x, y = [], []
        for number, address in enumerate(threads):
            own = slice(number, None, len(threads))
            parts = [np.ascontiguousarray(fold.x[own]), np.ascontiguousarray(fold.y[own])]
            of_x, of_y = client.scatter(parts, workers=[address], direct=True, hash=False)
            x.append(of_x)
            y.append(of_y)
        return cls(client, x, y, len(fold), fold.x.shape[1], threads)

    def arrays(self) -> tuple[da.Array, da.Array]:
        """Return the parts as Dask's arrays, float32[rows, columns] and float64[rows], in the workers' order."""
        sizes = [len(range(number, self.rows, len(self.x))) for number in range(len(self.x))]
        x = [da.from_delayed(part, (size, self.columns), np.float32) for part, size in zip(self.x, sizes, strict=True)]
        y = [da.from_delayed(part, (size,), np.float64) for part, size in zip(self.y, sizes, strict=True)]
        return da.concatenate(x), da.concatenate(y)

    @property
    def first(self) -> str:
        """The worker that tells of rounds, and fits alone what one worker fits: the one with most threads."""
        return max(self.threads, key=lambda address: self.threads[address])


Call = Callable[[Dealt, Teller], Any]
"""A training call that blocks until the workers have done it."""


def xgboost(task: Task, parameters: dict[str, Any]) -> Call:
    """Return the call that trains a booster with XGBoost's own engine on all workers."""

    def call(dealt: Dealt, teller: Teller) -> Any:
        x, y = dealt.arrays()
        train = xgb.DaskQuantileDMatrix(dealt.client, x, y, max_bin=parameters.get("max_bin", MAX_BIN))
        done = xgb.train(dealt.client, parameters, train, num_boost_round=task.trees, callbacks=[AfterXGBoost(teller)])
        return done["booster"]

    return call


def lightgbm(task: Task, parameters: dict[str, Any]) -> Call:
    """Return the call that trains a booster with LightGBM's own engine on all workers, on free ports."""

    def call(dealt: Dealt, teller: Teller) -> Any:
        x, y = dealt.arrays()
        model = lgb.DaskLGBMRegressor(client=dealt.client, **{**_UNSET, **parameters, "n_estimators": task.trees})
        return model.fit(x, y, callbacks=[AfterLightGBM(teller)]).booster_

    return call


def catboost(task: Task) -> Call:
    """Return the call that fits the whole member on one worker, as CatBoost has no engine for several."""
    bare = replace(task, train=Fold(np.empty((0, 0), np.float32), np.empty(0)), on_tree=_silent)

    def call(dealt: Dealt, teller: Teller) -> Fitted:
        one = {"workers": [dealt.first], "allow_other_workers": False, "pure": False}
        fitted: Fitted = dealt.client.submit(_fit_whole, bare, dealt.x, dealt.y, teller, **one).result()
        return fitted

    return call


def _silent() -> None: ...


def _fit_whole(task: Task, x: list[np.ndarray], y: list[np.ndarray], teller: Teller) -> Fitted:
    whole = Fold(_gathered(x), _gathered(y))
    worker = get_worker()
    # CatBoost calls back from a thread of its own, which Dask does not know as a worker's
    return cat.fit(
        replace(
            task,
            train=whole,
            threads=worker.state.nthreads,
            on_tree=lambda: worker.log_event(teller.topic, 1),
        )
    )


def _gathered(parts: list[np.ndarray]) -> np.ndarray:
    """Return the rows of all parts in their order before they were dealt."""
    whole = np.empty((sum(map(len, parts)), *parts[0].shape[1:]), parts[0].dtype)
    for number, part in enumerate(parts):
        whole[number :: len(parts)] = part
    return whole
