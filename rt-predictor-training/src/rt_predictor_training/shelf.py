"""A shelf: arrays of finished work in a folder, so that an interrupted run goes on where it was."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from rt_predictor_formats.errors import Problem


class Shelf:
    """A folder with one file per piece of work; a damaged or missing file means that the work is done again.

    Names tell the inputs of the work, so that nothing stale is found.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def finished(self) -> int:
        """Return how many pieces of work are there."""
        return len(list(self._folder.glob("*.npz")))

    def has(self, name: str) -> bool:
        """Return whether something is there under a name, be it damaged."""
        return self._path(name).exists()

    def load(self, name: str) -> dict[str, np.ndarray] | None:
        """Return what was kept under a name, None if there is nothing whole."""
        try:
            with self._path(name).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return dict(arrays)
        except (OSError, ValueError, EOFError, BadZipFile):
            return None

    def save(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep arrays under a name: whole, or not at all. Raises Problem NOT_KEPT."""
        path = self._path(name)
        unfinished = path.with_suffix(".unfinished")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with unfinished.open("wb") as file:
                np.savez(file, allow_pickle=False, **arrays)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        except OSError as error:
            _removed(unfinished)
            raise Problem(
                "NOT_KEPT",
                f"finished work cannot be kept: {error.strerror or error}",
                place=str(self._folder),
                remedy="make room there, or give a folder that you may write with --work",
            ) from error

    def remove(self, name: str) -> None:
        """Remove what was kept under a name."""
        _removed(self._path(name))

    def clear(self) -> None:
        """Remove what is there."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.npz"


def _removed(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
