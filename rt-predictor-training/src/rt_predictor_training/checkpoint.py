"""Checkpoints: what was said of each finished block, so that an interrupted backtest goes on where it was."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from rt_predictor_core.features.table import FINGERPRINT
from rt_predictor_formats.errors import Problem
from rt_predictor_training.ingest import Intake
from rt_predictor_training.profiles import Profile
from rt_predictor_training.walk import Block


def key_of(intake: Intake, profile: Profile, blocks: int) -> str:
    """Return what tells one backtest from another: logs by size and time, profile, blocks, release; 16 hex digits."""
    files = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in intake.paths]
    told = [files, intake.timezone, intake.sample_size, asdict(profile), blocks, FINGERPRINT]
    told.append(version("rt-predictor-training"))
    return sha256(json.dumps(told, default=str).encode()).hexdigest()[:16]


class Checkpoint:
    """A folder with one file per finished block; a damaged or missing file means that the block is done again."""

    def __init__(self, folder: Path, key: str) -> None:
        self._folder = folder / key

    def load(self, block: Block) -> dict[str, np.ndarray] | None:
        """See ``walk.Memory``."""
        try:
            with np.load(self._path(block), allow_pickle=False) as arrays:
                said = dict(arrays)
        except (OSError, ValueError, EOFError, BadZipFile):
            return None
        return said if all(len(array) == block.last - block.first for array in said.values()) else None

    def save(self, block: Block, said: Mapping[str, np.ndarray]) -> None:
        """See ``walk.Memory``. Raises Problem NOT_WRITABLE."""
        path = self._path(block)
        unfinished = path.with_suffix(".unfinished")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with unfinished.open("wb") as file:
                np.savez(file, allow_pickle=False, **said)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        except OSError as error:
            raise Problem(
                "NOT_WRITABLE",
                f"a finished block cannot be kept: {error.strerror or error}",
                place=str(self._folder),
                remedy="give --work a folder with free space that you may write",
            ) from error

    def finished(self) -> int:
        """Return how many blocks are there."""
        return len(list(self._folder.glob("*.npz")))

    def clear(self) -> None:
        """Remove what is there."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, block: Block) -> Path:
        return self._folder / f"{block.first:010d}-{block.last:010d}.npz"
