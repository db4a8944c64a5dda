"""Probes of a trained ensemble: what the libraries themselves say of some rows, read back from their own files."""

from __future__ import annotations

from typing import Final

import numpy as np

from rt_predictor_core.artifact.probes import ROWS
from rt_predictor_training.course import Course
from rt_predictor_training.fit import Result
from rt_predictor_training.members import ANSWERS
from rt_predictor_training.members.member import sample

JOBS: Final = 200
"""Jobs of the log among the probes; each also comes with a third of its features missing."""

EDGES: Final = (np.nan, 0.0, -1.0, 1e30, -1e30)
"""Values that no job of the log may have had, and that decide where a row goes; each fills a row."""


def rows_of(course: Course) -> np.ndarray:
    """Return the rows to ask about, float32[k, features]."""
    jobs = sample(course.table, JOBS)
    missing = jobs.copy()
    missing[np.random.default_rng(0).random(jobs.shape) < 1 / 3] = np.nan
    edges = np.tile(np.array(EDGES, np.float32)[:, None], jobs.shape[1])
    return np.ascontiguousarray(np.concatenate([jobs, missing, edges]))


def probes_of(course: Course, result: Result, columns: int) -> dict[str, np.ndarray]:
    """Return the rows and what each library says of them, as ``artifact.probes`` reads them.

    The libraries were given the first ``columns`` features.
    """
    rows = rows_of(course)
    files = {name: fitted.native for name, fitted in result.fitted.items()} | {"chance": result.chance.native}
    asked = np.ascontiguousarray(rows[:, :columns])
    return {ROWS: rows} | {name: ANSWERS[name](native, asked) for name, native in files.items() if native}
