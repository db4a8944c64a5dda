"""Checkpoints: what was said of each finished block, so that an interrupted backtest goes on where it was."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from rt_predictor_training.shelf import Shelf
from rt_predictor_training.walk import Block


class Checkpoint:
    """The finished blocks of one backtest."""

    def __init__(self, folder: Path, key: str) -> None:
        self._shelf = Shelf(folder / key)

    def load(self, block: Block) -> dict[str, np.ndarray] | None:
        """See ``walk.Memory``."""
        said = self._shelf.load(_name(block))
        if said is None or any(len(array) != block.last - block.first for array in said.values()):
            return None
        return said

    def save(self, block: Block, said: Mapping[str, np.ndarray]) -> None:
        """See ``walk.Memory``. Raises Problem NOT_KEPT."""
        self._shelf.save(_name(block), said)

    def finished(self) -> int:
        """Return how many blocks are there."""
        return self._shelf.finished()

    def clear(self) -> None:
        """Remove what is there."""
        self._shelf.clear()


def _name(block: Block) -> str:
    return f"{block.first:010d}-{block.last:010d}"
