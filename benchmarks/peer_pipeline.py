"""A run time predictor as a practitioner writes it with pandas and three libraries at their defaults.

Run as a process of its own by ``peer.py``; prints one JSON document.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import catboost
import lightgbm
import numpy as np
import pandas as pd
import xgboost

import peer_features
from rt_predictor_core.scores import interval_scores, point_scores

LEVELS = (0.05, 0.5, 0.95)
PASTS = {"shifted": peer_features.shifted, "ended": peer_features.ended}
SHORTEST_SECONDS = 1.0

ROUNDS = 100
"""What ``XGBRegressor`` and ``LGBMRegressor`` do by default; those want scikit-learn, nothing else here does."""

Predict = Callable[[pd.DataFrame], np.ndarray]


def fit_xgboost(x: pd.DataFrame, y: pd.Series) -> Predict:
    """Fit all quantiles in one model, as its documentation does."""
    parameters = {"objective": "reg:quantileerror", "quantile_alpha": list(LEVELS)}
    booster = xgboost.train(parameters, xgboost.QuantileDMatrix(x, label=y), num_boost_round=ROUNDS)
    return booster.inplace_predict


def fit_lightgbm(x: pd.DataFrame, y: pd.Series) -> Predict:
    """Fit a model per quantile; the library has no other way."""
    data = lightgbm.Dataset(x, y)
    parameters = {"objective": "quantile", "verbosity": -1}
    models = [lightgbm.train({**parameters, "alpha": level}, data, num_boost_round=ROUNDS) for level in LEVELS]
    return lambda rows: np.column_stack([model.predict(rows) for model in models])


def fit_catboost(x: pd.DataFrame, y: pd.Series) -> Predict:
    """Fit all quantiles in one model, as its documentation does."""
    loss = f"MultiQuantile:alpha={','.join(map(str, LEVELS))}"
    model = catboost.CatBoostRegressor(loss_function=loss, verbose=False, allow_writing_files=False)
    return model.fit(x, y).predict


FITS = {"xgboost": fit_xgboost, "lightgbm": fit_lightgbm, "catboost": fit_catboost}


def quantiles(models: Sequence[Predict], x: pd.DataFrame, request: np.ndarray) -> np.ndarray:
    """Return the mean of the models' quantiles [s], rising, and within one second and the request."""
    said = np.sort(np.mean([model(x) for model in models], axis=0), axis=1)
    longest = np.where(np.isnan(request), np.inf, request)[:, None]
    return np.asarray(np.clip(said, SHORTEST_SECONDS, longest))


def scores(said: np.ndarray, run: np.ndarray) -> dict[str, float]:
    """Return MAE [h], coverage and mean width [h] of the 90 % interval."""
    lower, median, upper = said.T
    return {"mae_h": point_scores(median, run)["mae_h"], **interval_scores(lower, upper, run)}


class Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Time a stage."""
        begin = time.perf_counter()
        yield
        self.seconds[stage] = time.perf_counter() - begin


def pipeline(path: Path, fold: int, past: str) -> dict[str, Any]:
    """Train on all but the newest ``fold`` jobs that ran and measure on those.

    ``as_reported`` are the scores with the features it was trained with, ``in_service`` those with features that know
    only what had ended; making these is no part of its times.
    """
    clock = Clock()
    with clock("read"):
        jobs = peer_features.read(path)
    with clock("features"):
        x = peer_features.table(jobs, PASTS[past])
    train, newest = slice(0, len(jobs) - fold), slice(len(jobs) - fold, None)
    models = []
    for name, fit in FITS.items():
        with clock(name):
            models.append(fit(x[train], jobs["run_time"][train]))
    run, request = jobs["run_time"][newest].to_numpy(), jobs["wallclock_req"][newest].to_numpy()
    with clock("predict"):
        said = quantiles(models, x[newest], request)
    peak = _peak_memory_mb()
    honest = x if past == "ended" else peer_features.table(jobs, peer_features.ended)
    submit = jobs["submit_time"][newest].astype("int64") // 1000
    return {
        "seconds": clock.seconds,
        "peak_memory_mb": peak,
        "as_reported": scores(said, run),
        "in_service": scores(quantiles(models, honest[newest], request), run),
        "unfinished": peer_features.unfinished(jobs),
        "fold": {"first_submit": int(submit.iloc[0]), "last_submit": int(submit.iloc[-1]), "jobs": len(run)},
    }


def _peak_memory_mb() -> float:
    # Linux counts KiB, macOS bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)


def main() -> None:
    """Run the pipeline."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--fold", type=int, required=True)
    parser.add_argument("--past", choices=PASTS, required=True)
    parser.add_argument("--json", type=Path, required=True)
    asked = parser.parse_args()
    document = pipeline(asked.data, asked.fold, asked.past)
    asked.json.write_text(json.dumps(document), "utf-8")


if __name__ == "__main__":
    main()
