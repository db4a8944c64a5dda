"""The calibration that reported ends have moved, kept over a restart."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

from rt_predictor_formats.errors import Problem

KEPT_VERSIONS = 5
"""Models of which the calibration is kept, the one used last at the end."""


class KeptLevels:
    """A small file with the levels that are read, by model version; see core's ``models.conformal``.

    It is replaced as a whole after each report, so a crash leaves the former one: at most the small steps of one report
    are lost. What cannot be read is taken for absent: then a model begins with the calibration that its training gave.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._levels = _read(path)

    def of(self, version: str) -> np.ndarray | None:
        """Return the levels that were kept of a model, None where there are none."""
        kept = self._levels.get(version)
        return None if kept is None else np.array(kept)

    def keep(self, version: str, levels: np.ndarray) -> None:
        """Bring the levels of a model to disk. Raises Problem HISTORY_NOT_WRITABLE."""
        self._levels.pop(version, None)
        self._levels[version] = levels.tolist()
        for old in list(self._levels)[:-KEPT_VERSIONS]:
            del self._levels[old]
        unfinished = self._path.with_suffix(".unfinished")
        try:
            with unfinished.open("w", encoding="utf-8") as file:
                json.dump(self._levels, file)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(self._path)
        except OSError as error:
            raise Problem(
                "HISTORY_NOT_WRITABLE",
                error.strerror or str(error),
                place=str(self._path),
                remedy="give the service a folder that it may write to, with free space, used by no other process",
            ) from error


def _read(path: Path) -> dict[str, list[list[float]]]:
    """Return what a file holds; nothing where it is absent, damaged or not what was written."""
    try:
        document = json.loads(path.read_text("utf-8"))
        return {
            str(version): levels
            for version, levels in document.items()
            if np.array(levels, np.float64).ndim == 2 and np.isfinite(levels).all()  # noqa: PLR2004 - tier and level
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
