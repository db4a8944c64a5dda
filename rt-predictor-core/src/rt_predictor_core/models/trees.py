"""Forests as flat arrays, evaluated without the library that trained them.

Two shapes are enough: binary trees of any form (XGBoost, LightGBM), and oblivious trees that ask one question per
level (CatBoost). Both say "left" or "0" for ``value <= threshold`` on float32 values; the training side translates each
library's own comparison into this one, missing values included.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numba import njit

from rt_predictor_core.models.arrays import Flat


@njit(cache=True, nogil=True)
def _evaluate_binary(
    table: np.ndarray,
    feature: np.ndarray,
    threshold: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    missing_left: np.ndarray,
    leaf: np.ndarray,
    root: np.ndarray,
    output: np.ndarray,
    out: np.ndarray,
) -> None:
    for i in range(len(table)):
        for t in range(len(root)):
            node = root[t]
            while node >= 0:
                value = table[i, feature[node]]
                go_left = missing_left[node] if np.isnan(value) else value <= threshold[node]
                node = left[node] if go_left else right[node]
            out[i, output[t]] += leaf[~node]


@njit(cache=True, nogil=True)
def _evaluate_oblivious(
    table: np.ndarray,
    feature: np.ndarray,
    threshold: np.ndarray,
    missing_high: np.ndarray,
    first_split: np.ndarray,
    first_leaf: np.ndarray,
    leaf: np.ndarray,
    out: np.ndarray,
) -> None:
    for i in range(len(table)):
        for t in range(len(first_leaf)):
            place = 0
            for s in range(first_split[t], first_split[t + 1]):
                value = table[i, feature[s]]
                high = missing_high[s] if np.isnan(value) else value > threshold[s]
                if high:
                    place |= 1 << (s - first_split[t])
            for q in range(out.shape[1]):
                out[i, q] += leaf[first_leaf[t] + place, q]


class Forest(Protocol):
    """A trained member: a function from the feature table to one value per quantile level."""

    def evaluate(self, table: np.ndarray) -> np.ndarray:
        """Return float64[n, levels] for a feature table float32[n, features]."""
        ...

    def arrays(self) -> dict[str, np.ndarray]:
        """Return everything that the forest is, for an npz file."""
        ...


@dataclass(frozen=True)
class BinaryForest(Flat):
    """Binary trees.

    Attributes
    ----------
    feature: int32[nodes], column that the node looks at. threshold: float32[nodes].
    left, right: int32[nodes], next node, or ``~k`` for leaf k. missing_left: bool[nodes].
    leaf: float64[leaves]. root: int32[trees], first node or ``~k``. output: int32[trees], level the tree adds to.
    base: float64[levels], added to every answer.
    """

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    missing_left: np.ndarray
    leaf: np.ndarray
    root: np.ndarray
    output: np.ndarray
    base: np.ndarray

    def evaluate(self, table: np.ndarray) -> np.ndarray:
        """Return float64[n, levels] for a feature table float32[n, features]."""
        out = np.tile(self.base, (len(table), 1))
        _evaluate_binary(
            table,
            self.feature,
            self.threshold,
            self.left,
            self.right,
            self.missing_left,
            self.leaf,
            self.root,
            self.output,
            out,
        )
        return out


@dataclass(frozen=True)
class ObliviousForest(Flat):
    """Oblivious trees: all nodes of a level share one question, the answers are the bits of the leaf's number.

    Attributes
    ----------
    feature: int32[splits], threshold: float32[splits], missing_high: bool[splits].
    first_split: int32[trees + 1], the splits of tree t are ``first_split[t]:first_split[t + 1]``, lowest bit first.
    first_leaf: int32[trees]. leaf: float64[leaves, levels]. base: float64[levels], added to every answer.
    """

    feature: np.ndarray
    threshold: np.ndarray
    missing_high: np.ndarray
    first_split: np.ndarray
    first_leaf: np.ndarray
    leaf: np.ndarray
    base: np.ndarray

    def evaluate(self, table: np.ndarray) -> np.ndarray:
        """Return float64[n, levels] for a feature table float32[n, features]."""
        out = np.tile(self.base, (len(table), 1))
        _evaluate_oblivious(
            table,
            self.feature,
            self.threshold,
            self.missing_high,
            self.first_split,
            self.first_leaf,
            self.leaf,
            out,
        )
        return out
