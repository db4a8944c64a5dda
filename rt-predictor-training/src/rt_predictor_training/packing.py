"""What training keeps, as arrays by name: for the shelf of an interrupted run, and for the artifact."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, Final, TypeVar

import numpy as np

from rt_predictor_core.features.table import HistoryRows
from rt_predictor_core.history.log import EventLog
from rt_predictor_core.models.arrays import Flat
from rt_predictor_core.models.shapes import SHAPES
from rt_predictor_core.requests import Requests
from rt_predictor_training.course import Course
from rt_predictor_training.facts import Facts
from rt_predictor_training.ingest import Jobs
from rt_predictor_training.members.member import Fitted

Arrays = Mapping[str, np.ndarray]

_WORDS: Final = "words"
_KNOWN: Final = ("known", "known_end")


Rows = TypeVar("Rows", Requests, EventLog, HistoryRows)
"""Columns of the same length, as a dataclass."""


def packed_jobs(jobs: Jobs) -> dict[str, np.ndarray]:
    """Return a whole log as arrays."""
    columns = {**_columns("requests", jobs.requests), **_columns("events", jobs.events)}
    return {**columns, **_packed_facts(jobs.facts)}


def unpacked_jobs(arrays: Arrays) -> Jobs:
    """Return the log that the arrays describe. KeyError names one that is missing."""
    return Jobs(_rows(Requests, "requests", arrays), _rows(EventLog, "events", arrays), _unpacked_facts(arrays))


def packed_course(course: Course) -> dict[str, np.ndarray]:
    """Return a course as arrays."""
    columns = {**_columns("requests", course.requests), **_columns("events", course.events)}
    return {**columns, **_columns("history", course.history), **_packed_facts(course.facts)}


def unpacked_course(arrays: Arrays) -> Course:
    """Return the course that the arrays describe. KeyError names one that is missing."""
    return Course(
        _rows(Requests, "requests", arrays),
        _rows(EventLog, "events", arrays),
        _rows(HistoryRows, "history", arrays),
        _unpacked_facts(arrays),
    )


def packed_member(fitted: Fitted) -> dict[str, np.ndarray]:
    """Return a fitted member as arrays."""
    words = {"name": fitted.name, "library_version": fitted.library_version, "shape": fitted.shape}
    return {**packed_files(fitted.forest, fitted.native), _WORDS: _text(words)}


def unpacked_member(arrays: Arrays) -> Fitted:
    """Return the member that the arrays describe. KeyError names one that is missing."""
    words = _words(arrays[_WORDS])
    forest: Any = SHAPES[words["shape"]].from_arrays(within("forest", arrays))
    return Fitted(**words, forest=forest, native=unpacked_files(arrays))


def packed_files(forest: Flat, native: Mapping[str, bytes]) -> dict[str, np.ndarray]:
    """Return a forest and the library's own files as arrays."""
    files = {f"native.{name}": np.frombuffer(content, np.uint8) for name, content in native.items()}
    return {**{f"forest.{name}": array for name, array in forest.arrays().items()}, **files}


def unpacked_files(arrays: Arrays) -> dict[str, bytes]:
    """Return the library's own files."""
    return {name: array.tobytes() for name, array in within("native", arrays).items()}


def within(prefix: str, arrays: Arrays) -> dict[str, np.ndarray]:
    """Return the arrays whose names begin with ``prefix.``, by the rest of their names."""
    return {name.removeprefix(f"{prefix}."): array for name, array in arrays.items() if name.startswith(f"{prefix}.")}


def _packed_facts(facts: Facts) -> dict[str, np.ndarray]:
    words = {name: value for name, value in asdict(facts).items() if name not in _KNOWN}
    return {**{f"facts.{name}": getattr(facts, name) for name in _KNOWN}, f"facts.{_WORDS}": _text(words)}


def _unpacked_facts(arrays: Arrays) -> Facts:
    known: dict[str, Any] = within("facts", arrays)
    words = _words(known.pop(_WORDS))
    listed = {name: tuple(words[name]) for name in ("sources", "notes")}
    return Facts(**{**words, **listed, **known})


def _columns(prefix: str, rows: Rows) -> dict[str, np.ndarray]:
    return {f"{prefix}.{field.name}": getattr(rows, field.name) for field in fields(rows)}


def _rows(kind: type[Rows], prefix: str, arrays: Arrays) -> Rows:
    return kind(**{field.name: arrays[f"{prefix}.{field.name}"] for field in fields(kind)})


def _text(value: Any) -> np.ndarray:
    return np.frombuffer(json.dumps(value).encode(), np.uint8)


def _words(array: np.ndarray) -> Any:
    return json.loads(array.tobytes())
