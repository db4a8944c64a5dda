"""What the members share: the data they fit, what a fit gives, and the proof that the flat arrays are the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from rt_predictor_core.models.trees import BinaryForest, ObliviousForest
from rt_predictor_formats.errors import Problem

TOLERANCE = 1e-5
"""Largest difference between flat arrays and library, relative to the spread of the target."""

_CHECKED_ROWS = 2000


@dataclass(frozen=True)
class Fold:
    """Rows to fit: ``x`` float32[n, features], ``y`` float64[n] in units of the target."""

    x: np.ndarray
    y: np.ndarray

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class Task:
    """What a member is asked to do.

    ``parameters`` are the library's own, from the profile. ``on_tree`` is called after each boosting round.
    """

    train: Fold
    levels: tuple[float, ...]
    trees: int
    parameters: Mapping[str, Any]
    threads: int
    seed: int
    on_tree: Callable[[], None]


@dataclass(frozen=True)
class Fitted:
    """A fitted member: flat arrays for the service, the library's own files for audit and explanations."""

    name: str
    library_version: str
    shape: str
    forest: BinaryForest | ObliviousForest
    native: Mapping[str, bytes]


class Fit(Protocol):
    """How a member is fitted."""

    def __call__(self, task: Task) -> Fitted:
        """Fit, flatten, verify."""
        ...


def verify(
    name: str, forest: BinaryForest | ObliviousForest, native: np.ndarray, x: np.ndarray, rounded: int = 0
) -> None:
    """Raise Problem FLATTENING_DIFFERS unless the flat arrays answer as the library does.

    ``native`` float64[n, levels] is the library's answer for ``x``; rows with missing values are among them, as every
    log has jobs without history. ``rounded`` is how many times the library rounds a sum to float32.
    """
    flat = forest.evaluate(x)
    spread = max(float(np.std(native)), 1e-3)
    worst = float(np.max(np.abs(flat - native), initial=0.0)) / spread
    rounding = rounded * float(np.finfo(np.float32).eps) * float(np.max(np.abs(native), initial=0.0))
    if worst > TOLERANCE + rounding / spread:
        raise Problem(
            "FLATTENING_DIFFERS",
            f"{name}: flat trees differ from the library by {worst:.2g} of the spread",
            remedy=f"use the version of {name} that the requirement files pin",
        )


def sample(x: np.ndarray, rows: int = _CHECKED_ROWS) -> np.ndarray:
    """Return rows on which flattening is verified, about so many: spread over all of ``x``."""
    return np.ascontiguousarray(x[:: max(1, len(x) // rows)])


def as_shares(gains: np.ndarray) -> np.ndarray:
    """Return gains, float64[n], as shares that sum to 1; zeros where nothing is gained."""
    total = float(gains.sum())
    return np.asarray(gains / total) if total > 0.0 else np.zeros(len(gains))


def next_below(threshold: np.ndarray) -> np.ndarray:
    """Return float32 thresholds t' such that ``x <= t'`` means ``x < threshold`` for float32 x."""
    return np.asarray(np.nextafter(threshold.astype(np.float32), np.float32(-np.inf)))


def floor_float32(threshold: np.ndarray) -> np.ndarray:
    """Return the greatest float32 not above each float64 threshold: ``x <= t`` keeps its meaning for float32 x."""
    rounded = threshold.astype(np.float32)
    return np.where(rounded > threshold, np.nextafter(rounded, np.float32(-np.inf)), rounded)
