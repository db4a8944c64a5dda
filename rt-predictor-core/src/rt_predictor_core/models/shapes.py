"""The shapes that a member's arrays may have, by the name that the manifest uses."""

from __future__ import annotations

from typing import Final

from rt_predictor_core.models.neighbours import SHAPE, Neighbours
from rt_predictor_core.models.trees import BinaryForest, ObliviousForest

Shape = BinaryForest | ObliviousForest | Neighbours

SHAPES: Final[dict[str, type[Shape]]] = {
    "binary": BinaryForest,
    "oblivious": ObliviousForest,
    SHAPE: Neighbours,
}
