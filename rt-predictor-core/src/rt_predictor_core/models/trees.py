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

_SPLIT = {"feature": np.int32, "threshold": np.float32, "missing_high": np.bool_}
"""What is known of each split of an oblivious tree."""


@njit(cache=True, nogil=True)
def add_oblivious(
    table: np.ndarray,
    out: np.ndarray,
    place: np.ndarray,
    threshold: np.ndarray,
    first_split: np.ndarray,
    first_leaf: np.ndarray,
    leaf: np.ndarray,
) -> None:
    """Add to ``out``, float64[n, levels], what oblivious trees answer to each row of a table."""
    doubled = np.empty(2 * table.shape[1], np.float32)
    if len(table) == 1:
        double(table[0], doubled)
        _add_one(doubled, out[0], (place, threshold, first_split, first_leaf, leaf))
        return
    # one question is put to many rows at a time: what they have of it lies side by side
    columns, answers = np.empty((len(doubled), _ROWS), np.float32), np.empty(_ROWS, np.uint32)
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
                for q in range(leaf.shape[1]):
                    out[first + k, q] += leaf[answers[k], q]


@njit(cache=True, nogil=True)
def _add_one(doubled: np.ndarray, out: np.ndarray, trees: tuple[np.ndarray, ...]) -> None:
    """Add the answers to a single row: without the columns, that takes half the time."""
    place, threshold, first_split, first_leaf, leaf = trees
    for t in range(len(first_leaf)):
        answer, bit = np.int64(first_leaf[t]), 1
        for s in range(first_split[t], first_split[t + 1]):
            answer += 0 if doubled[place[s]] <= threshold[s] else bit
            bit <<= 1
        for q in range(leaf.shape[1]):
            out[q] += leaf[answer, q]


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
        return np.asarray(walk(table, self.packed, self.base))

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
        self.packed  # noqa: B018 - packing finds nodes in a circle

    @cached_property
    def packed(self) -> tuple[np.ndarray, ...]:
        """The arrays of ``Packed``."""
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
        out = np.tile(self.base, (len(table), 1))
        add_oblivious(table, out, *self.questions)
        return out

    @classmethod
    def side_by_side(cls, forests: Sequence[Self]) -> Self:
        """Return one forest that says what the forests say, one behind the other: each adds nothing to the others."""
        leaf = np.zeros((sum(len(one.leaf) for one in forests), sum(len(one.base) for one in forests)))
        told: dict[str, list[np.ndarray]] = {name: [] for name in _SPLIT}
        first_split, first_leaf = [0], list[int]()
        leaves, levels = 0, 0
        for one in forests:
            used = slice(one.first_split[0], one.first_split[-1])
            for name, column in told.items():
                column.append(getattr(one, name)[used])
            first_split += (one.first_split[1:] - used.start + first_split[-1]).tolist()
            first_leaf += (one.first_leaf + leaves).tolist()
            leaf[leaves : leaves + len(one.leaf), levels : levels + len(one.base)] = one.leaf
            leaves, levels = leaves + len(one.leaf), levels + len(one.base)
        return cls(
            **{name: np.concatenate([np.zeros(0, kind), *told[name]]) for name, kind in _SPLIT.items()},
            first_split=np.array(first_split, np.int32),
            first_leaf=np.array(first_leaf, np.int32),
            leaf=leaf,
            base=np.concatenate([np.zeros(0), *(one.base for one in forests)]),
        )

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
    def questions(self) -> tuple[np.ndarray, ...]:
        """What ``add_oblivious`` takes; first, where each split looks in a doubled row, uint32[splits]."""
        place = np.asarray(2 * self.feature + self.missing_high, np.uint32)
        return place, self.threshold, self.first_split, self.first_leaf, self.leaf


def _check_answers(leaf: np.ndarray, base: np.ndarray) -> None:
    for name, array in (("leaf", leaf), ("base", base)):
        within(name, array, -LARGEST_ANSWER, LARGEST_ANSWER)
