"""All members as one: what they say, blended and in order, by one call of compiled code.

For one job, each such call costs Python more than most members need; so there is one for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numba import njit

from rt_predictor_core.features.neighbours import LEVELS
from rt_predictor_core.models.blend import middle, rearrange
from rt_predictor_core.models.neighbours import Neighbours, shares
from rt_predictor_core.models.shapes import Shape
from rt_predictor_core.models.trees import BinaryForest, ObliviousForest, add_oblivious
from rt_predictor_core.models.walk import walk

Together: TypeAlias = tuple[tuple[np.ndarray, ...], ...]
"""Members in a form that compiled code takes.

Of binary trees, those of ``chance`` last: the arrays of ``Packed``, and the base. Of oblivious trees: what
``add_oblivious`` takes, and the base. Of neighbours, by member: what ``shares`` takes. Then
bool[members, levels], who is heard, in this order.
"""


def together(
    levels: int, members: Mapping[str, Shape], heard: Mapping[str, np.ndarray], chance: BinaryForest
) -> Together:
    """Return members that are heard at bool[levels], and the forest of ``Forecaster.chance``, as one.

    Trees that nobody hears are left out: where other trees are heard, which know every job.
    """
    kinds: dict[type, dict[str, Any]] = {BinaryForest: {}, ObliviousForest: {}, Neighbours: {}}
    for name, member in members.items():
        kinds[type(member)][name] = member
    binary, oblivious, near = kinds.values()
    sure = np.any([heard[name] for name in (*binary, *oblivious)], axis=0)
    walked = BinaryForest.side_by_side([*(one.only(heard[name] | ~sure) for name, one in binary.items()), chance])
    asked = ObliviousForest.side_by_side(list(oblivious.values()))
    between = [one.between for one in near.values()]
    return (
        (*walked.packed, walked.base),
        (*asked.questions, asked.base),
        (
            np.array([one.columns for one in near.values()], np.int64).reshape(-1, len(LEVELS)),
            np.array([right for right, _ in between], np.int64).reshape(-1, levels),
            np.array([share for _, share in between], np.float64).reshape(-1, levels),
            np.array([one.target for one in near.values()], np.float64).reshape(-1, 3),
        ),
        (np.array([heard[name] for name in (*binary, *oblivious, *near)], np.bool_).reshape(-1, levels),),
    )


@njit(cache=True, nogil=True)
def say(table: np.ndarray, members: Together) -> tuple[np.ndarray, np.ndarray]:
    """Return ``Said.raw`` and ``Said.log_odds`` for a feature table float32[n, features]."""
    node, value, root, depth, order, output, base = members[0]
    place, threshold, first_split, first_leaf, leaf, oblivious_base = members[1]
    columns, right, share, target = members[2]
    heard = members[3][0]
    walked = walk(table, (node, value, root, depth, order, output), base)
    asked = np.empty((len(table), len(oblivious_base)))
    asked[:] = oblivious_base
    add_oblivious(table, asked, place, threshold, first_split, first_leaf, leaf)
    said, levels, member = np.empty((len(heard), len(table), heard.shape[1])), heard.shape[1], 0
    for trees in (walked, asked):
        for first in range(0, trees.shape[1] - levels + 1, levels):
            said[member] = trees[:, first : first + levels]
            member += 1
    for k in range(len(columns)):
        shares(table, columns[k], right[k], share[k], target[k], said[member])
        member += 1
    raw = middle(said, heard)
    rearrange(raw)
    return raw, walked[:, -1].copy()
