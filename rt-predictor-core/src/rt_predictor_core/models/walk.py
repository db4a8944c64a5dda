"""How forests are walked: branchless, and several walks in step, so that the processor waits for none of them.

Which way a job goes cannot be foreseen, and each step of a walk waits for the one before. A packed node says what it
compares, and how far behind it the child on the left lies; the child on the right follows that. A leaf leads to itself,
so that walks of different lengths keep in step. Rows are doubled first: of each feature the value with "left" in place
of a missing one, then the value as it is, of which no comparison holds if it is missing: that goes right.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple

import numpy as np
from numba import njit

_IN_STEP = 16
_ROWS = 64
"""Rows that are taken through a tree before the next one: what they look at stays near the processor."""

_PLACE_BITS = np.uint32(12)
_PLACE = np.uint32((1 << 12) - 1)

MOST_FEATURES = 1 << 11
MOST_NODES = 1 << 20
"""Of one tree, leaves included: what the bits of a link are enough for."""


_NODE = np.dtype([("threshold", np.float32), ("link", np.uint32)])


class Packed(NamedTuple):
    """Binary trees, from the root of each to its leaves, one behind the other.

    Attributes
    ----------
    node: threshold and link [nodes]: above ``_PLACE_BITS`` how far behind it the child on the left lies, 0 of a leaf,
    and below where its value lies in a doubled row; side by side, as both are read together.
    value: float64[nodes], of leaves.
    root, depth: uint32[trees]. order: uint32[trees], from the shallowest to the deepest. output: int32[trees].
    """

    node: np.ndarray
    value: np.ndarray
    root: np.ndarray
    depth: np.ndarray
    order: np.ndarray
    output: np.ndarray


class Trees(NamedTuple):
    """The arrays of ``trees.BinaryForest`` but its base."""

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    missing_left: np.ndarray
    leaf: np.ndarray
    root: np.ndarray
    output: np.ndarray


def pack(trees: Trees) -> Packed:
    """Return the trees packed. Raises ValueError if there are too many features or nodes, or nodes in a circle."""
    most = 2 * len(trees.feature) + len(trees.root)
    root, depth, order = np.zeros((3, len(trees.root)), np.uint32)
    nodes = np.full(most, np.array((inf, 0), _NODE))
    packed = Packed(nodes, np.zeros(most), root, depth, order, trees.output)
    used = 0
    for t in range(len(trees.root)):
        packed.root[t] = used
        used = _pack(trees, t, packed, used)
        if used < 0 or used - int(packed.root[t]) > MOST_NODES or trees.feature.max(initial=0) >= MOST_FEATURES:
            raise ValueError(f"tree {t} does not fit {MOST_FEATURES} features and {MOST_NODES} nodes, each once")
    packed.order[:] = np.argsort(packed.depth, kind="stable")
    return packed


@njit(cache=True, nogil=True)
def _pack(trees: Trees, t: int, packed: Packed, first: int) -> int:
    """Pack tree ``t`` from node ``first`` on, level by level; return the next free node, negative if nodes recur."""
    room = len(packed.node) - first
    waiting, depth = np.empty(room, np.int64), np.zeros(room, np.uint32)
    waiting[0], known = trees.root[t], 1
    for here in range(room):
        if here == known:
            return first + known
        node, to = waiting[here], first + here
        packed.depth[t] = depth[here]
        if node < 0:
            packed.value[to] = trees.leaf[~node]
            continue
        if known + 2 > room:
            return -1
        missing_right = np.uint32(0 if trees.missing_left[node] else 1)
        packed.node[to].threshold = trees.threshold[node]
        packed.node[to].link = (np.uint32(known - here) << _PLACE_BITS) | (
            np.uint32(2 * trees.feature[node]) + missing_right
        )
        waiting[known], waiting[known + 1] = trees.left[node], trees.right[node]
        depth[known : known + 2] = depth[here] + 1
        known += 2
    return first + known


@njit(cache=True, nogil=True)
def double(row: np.ndarray, out: np.ndarray) -> None:
    """Write a row, float32[features], doubled into ``out``, float32[2 * features]."""
    for j in range(len(row)):
        out[2 * j] = -inf if np.isnan(row[j]) else row[j]
        out[2 * j + 1] = row[j]


@njit(cache=True, nogil=True)
def _trees_in_step(doubled: np.ndarray, packed: Packed, said: np.ndarray, out: np.ndarray) -> None:
    """Add what all trees say of one row; ``said``, float64[trees], is room to work in."""
    at = np.empty(_IN_STEP, np.uint32)
    for first in range(0, len(packed.order), _IN_STEP):
        some = packed.order[first : first + _IN_STEP]
        for k in range(_IN_STEP):
            at[k] = packed.root[some[min(k, len(some) - 1)]]
        for _ in range(packed.depth[some[-1]]):
            for k in range(_IN_STEP):
                node = packed.node[at[k]]
                link = node.link
                right = not (doubled[link & _PLACE] <= node.threshold)
                at[k] += (link >> _PLACE_BITS) + np.uint32(right)
        for k in range(len(some)):
            said[some[k]] = packed.value[at[k]]
    for t in range(len(said)):
        out[packed.output[t]] += said[t]


@njit(cache=True, nogil=True)
def _rows_in_step(doubled: np.ndarray, packed: Packed, out: np.ndarray) -> None:
    """Add what all trees say of ``_ROWS`` rows."""
    at = np.empty(_ROWS, np.uint32)
    for t in range(len(packed.root)):
        at[:] = packed.root[t]
        for _ in range(packed.depth[t]):
            for k in range(_ROWS):
                node = packed.node[at[k]]
                link = node.link
                right = not (doubled[k, link & _PLACE] <= node.threshold)
                at[k] += (link >> _PLACE_BITS) + np.uint32(right)
        for k in range(_ROWS):
            out[k, packed.output[t]] += packed.value[at[k]]


@njit(cache=True, nogil=True)
def walk(table: np.ndarray, trees: tuple[np.ndarray, ...], base: np.ndarray) -> np.ndarray:
    """Return ``base`` and the sum of all trees, in their order, for each row of a table: float64[n, levels].

    ``trees`` are the arrays of ``Packed`` as a plain tuple: the type of a named one is looked up at each call.
    """
    packed = Packed(*trees)
    out = np.empty((len(table), len(base)))
    out[:] = base
    whole = len(table) // _ROWS * _ROWS
    doubled = np.empty((_ROWS if whole else 1, 2 * table.shape[1]), np.float32)
    said = np.empty(len(packed.root))
    for first in range(0, whole, _ROWS):
        for k in range(_ROWS):
            double(table[first + k], doubled[k])
        _rows_in_step(doubled, packed, out[first : first + _ROWS])
    for i in range(whole, len(table)):
        double(table[i], doubled[0])
        _trees_in_step(doubled[0], packed, said, out[i])
    return out
