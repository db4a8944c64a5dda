"""Probes: some rows, and what the libraries that trained the members said of them.

With them a process that has none of the libraries can prove that its own evaluation of the members is theirs, whatever
happened to compiler, processor or file since.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from rt_predictor_core.features.table import NAMES
from rt_predictor_core.models.trees import Forest

ROWS: Final = "rows"
"""Name of the array of the rows, float32[k, len(NAMES)]; each other is named as its member, float64[k, levels]."""

TOLERANCE: Final = 1e-5
"""Largest difference from a library's answers, relative to the largest of them."""


def difference(flat: np.ndarray, native: np.ndarray) -> float:
    """Return the largest difference of two answers, float64[k, levels], relative to the largest of ``native``."""
    largest = max(float(np.max(np.abs(native), initial=0.0)), float(np.finfo(np.float32).tiny))
    return float(np.max(np.abs(flat - native), initial=0.0)) / largest


def differing(forests: Mapping[str, Forest], probes: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Return how far the answers of each of the forests are off, where that is more than ``TOLERANCE``.

    Raises KeyError for a forest of which the probes say nothing, ValueError if arrays do not fit.
    """
    rows = np.ascontiguousarray(probes[ROWS])
    if rows.ndim != 2 or rows.shape[1] != len(NAMES) or rows.dtype != np.float32:  # noqa: PLR2004
        raise ValueError(f"probes: rows {rows.dtype}{rows.shape} do not fit {len(NAMES)} features")
    found = {name: difference(forest.evaluate(rows), probes[name]) for name, forest in forests.items()}
    return {name: worst for name, worst in found.items() if not worst <= TOLERANCE}
