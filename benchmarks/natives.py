"""The three libraries' own models, called as a service does that flattens nothing; the peer, for one."""

from __future__ import annotations

from pathlib import Path

import catboost
import lightgbm
import numpy as np
import xgboost


class Natives:
    """The models in the folder of an artifact's members, each with one thread."""

    def __init__(self, folder: Path) -> None:
        self._xgboost = xgboost.Booster(model_file=str(folder / "xgboost.ubj"))
        self._xgboost.set_param({"nthread": 1})
        files = sorted(folder.glob("lightgbm-q*.txt"))
        self._lightgbm = [lightgbm.Booster(model_file=str(file)) for file in files]
        self._catboost = catboost.CatBoost().load_model(str(folder / "catboost.cbm"))

    def said(self, rows: np.ndarray) -> list[np.ndarray]:
        """Return what each library says of rows, float32[n, features]: float64[n, levels]."""
        return [
            self._xgboost.inplace_predict(rows).reshape(len(rows), -1),
            np.column_stack([one.predict(rows, num_threads=1) for one in self._lightgbm]),
            self._catboost.predict(rows, thread_count=1).reshape(len(rows), -1),
        ]
