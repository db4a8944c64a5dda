"""Forests as flat arrays, evaluated without the library that trained them.

Two shapes are enough: binary trees of any form (XGBoost, LightGBM), and oblivious trees that ask one question per
level (CatBoost). Both say "left" or "0" for ``value <= threshold`` on float32 values; the training side translates each
library's own comparison into this one, missing values included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol, Self

import numpy as np
from numba import njit

from rt_predictor_core.features.table import NAMES
from rt_predictor_core.models.arrays import LARGEST_ANSWER, Flat, held, within
from rt_predictor_core.models.walk import Trees, double, pack, walk

_ROWS = 64
"""Rows that are taken through an oblivious tree before the next one."""

MOST_QUESTIONS = 24
"""Of one oblivious tree: it has a leaf for each combination of answers."""


@njit(cache=True, nogil=True)
def _evaluate_oblivious(
    table: np.ndarray,
    place: np.ndarray,
    threshold: np.ndarray,
    first_split: np.ndarray,
    first_leaf: np.ndarray,
    leaf: np.ndarray,
    base: np.ndarray,
) -> np.ndarray:
    out = np.empty((len(table), len(base)))
    out[:] = base
    # one question is put to many rows at a time: what they have of it lies side by side
    rows = min(_ROWS, len(table))
    doubled, columns = np.empty(2 * table.shape[1], np.float32), np.empty((2 * table.shape[1], rows), np.float32)
    answers = np.empty(rows, np.uint32)
    for first in range(0, len(table), _ROWS):
        some = min(_ROWS, len(table) - first)
        for k in range(some):
            double(table[first + k], doubled)
            columns[:, k] = doubled
        for t in range(len(first_leaf)):
            answers[:some] = first_leaf[t]
            bit = np.uint32(1)
            for s in range(first_split[t], first_split[t + 1]):
                column, bar = columns[place[s]], threshold[s]
                for k in range(some):
                    answers[k] += np.uint32(0) if column[k] <= bar else bit
                bit = np.uint32(bit << np.uint32(1))
            for k in range(some):
                for q in range(len(base)):
                    out[first + k, q] += leaf[answers[k], q]
    return out


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

    feature: np.ndarray = held(np.int32, "nodes")
    threshold: np.ndarray = held(np.float32, "nodes")
    left: np.ndarray = held(np.int32, "nodes")
    right: np.ndarray = held(np.int32, "nodes")
    missing_left: np.ndarray = held(np.bool_, "nodes")
    leaf: np.ndarray = held(np.float64, "leaves")
    root: np.ndarray = held(np.int32, "trees")
    output: np.ndarray = held(np.int32, "trees")
    base: np.ndarray = held(np.float64, "levels")

    def evaluate(self, table: np.ndarray) -> np.ndarray:
        """Return float64[n, levels] for a feature table float32[n, features]."""
        return np.asarray(walk(table, self._packed, self.base))

    @classmethod
    def side_by_side(cls, forests: Sequence[Self]) -> Self:
        """Return one forest that says what the forests say, one behind the other, to the bit: one walk is for less."""
        told, nodes, leaves, levels = [], 0, 0, 0
        for one in forests:
            left, right, root = (
                np.where(child < 0, child - leaves, child + nodes) for child in (one.left, one.right, one.root)
            )
            moved = replace(one, left=left, right=right, root=root, output=one.output + levels)
            told.append(moved.arrays())
            nodes, leaves, levels = nodes + len(one.feature), leaves + len(one.leaf), levels + len(one.base)
        return cls(**{name: np.concatenate([arrays[name] for arrays in told]) for name in told[0]})

    def only(self, wanted: np.ndarray) -> BinaryForest:
        """Return the forest without the trees of levels that are not wanted, bool[levels]: those give their base."""
        kept = wanted[self.output]
        return replace(self, root=self.root[kept], output=self.output[kept])

    def check(self) -> None:
        """Raise ValueError where a question, an answer or a child leads nowhere."""
        within("feature", self.feature, 0, len(NAMES) - 1)
        for name, child in (("left", self.left), ("right", self.right), ("root", self.root)):
            within(name, child, -len(self.leaf), len(self.feature) - 1)
        within("output", self.output, 0, len(self.base) - 1)
        _check_answers(self.leaf, self.base)
        self._packed  # noqa: B018 - packing finds nodes in a circle

    @cached_property
    def _packed(self) -> tuple[np.ndarray, ...]:
        return tuple(pack(Trees(**{name: getattr(self, name) for name in Trees._fields})))


@dataclass(frozen=True)
class ObliviousForest(Flat):
    """Oblivious trees: all nodes of a level share one question, the answers are the bits of the leaf's number.

    Attributes
    ----------
    feature: int32[splits], threshold: float32[splits], missing_high: bool[splits].
    first_split: int32[trees + 1], the splits of tree t are ``first_split[t]:first_split[t + 1]``, lowest bit first.
    first_leaf: int32[trees]. leaf: float64[leaves, levels]. base: float64[levels], added to every answer.
    """

    feature: np.ndarray = held(np.int32, "splits")
    threshold: np.ndarray = held(np.float32, "splits")
    missing_high: np.ndarray = held(np.bool_, "splits")
    first_split: np.ndarray = held(np.int32, "trees + 1")
    first_leaf: np.ndarray = held(np.int32, "trees")
    leaf: np.ndarray = held(np.float64, "leaves", "levels")
    base: np.ndarray = held(np.float64, "levels")

    def evaluate(self, table: np.ndarray) -> np.ndarray:
        """Return float64[n, levels] for a feature table float32[n, features]."""
        parts = (self.threshold, self.first_split, self.first_leaf, self.leaf, self.base)
        return np.asarray(_evaluate_oblivious(table, self._place, *parts))

    def check(self) -> None:
        """Raise ValueError where a question or an answer leads nowhere."""
        within("feature", self.feature, 0, len(NAMES) - 1)
        if len(self.first_split) != len(self.first_leaf) + 1:
            raise ValueError(f"first_split: {len(self.first_split)} does not fit {len(self.first_leaf)} trees")
        within("first_split", self.first_split, 0, len(self.feature))
        questions: np.ndarray = np.diff(self.first_split.astype(np.int64))
        within("first_split", questions, 0, MOST_QUESTIONS)
        within("first_leaf", self.first_leaf, 0, len(self.leaf))
        within("first_leaf", self.first_leaf + 2**questions, 1, len(self.leaf))
        _check_answers(self.leaf, self.base)

    @cached_property
    def _place(self) -> np.ndarray:
        """Where each split looks in the doubled row, uint32[splits]."""
        return np.asarray(2 * self.feature + self.missing_high, np.uint32)


def _check_answers(leaf: np.ndarray, base: np.ndarray) -> None:
    for name, array in (("leaf", leaf), ("base", base)):
        within(name, array, -LARGEST_ANSWER, LARGEST_ANSWER)
