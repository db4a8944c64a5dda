"""What is told of jobs, and how a store keeps it: as a row of plain values that carries a checksum."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import NoneType
from typing import Any, Final

from rt_predictor_core.features.keys import TIERS
from rt_predictor_core.schema import COLUMNS

REQUEST_COLUMNS = tuple(
    column.name for column in COLUMNS if column.at_submit and column.name not in {"job_id", "submit_time"}
)
"""What ``Event.job`` may hold: the canonical columns of a request."""

NUMBERS: Final = frozenset(c.name for c in COLUMNS if c.name in REQUEST_COLUMNS and c.unit != "text")
"""Those of them that are no text."""

LESSON: Final = ("model", "tier", "level_run", "level_interval", "level_wallclock")
STORED: Final = (
    *("cluster", "job_id", "submit_time", "kind", "start_time", "end_time", "state"),
    *(*REQUEST_COLUMNS, *LESSON),
)
"""Names of the values of a row; the last are what the event taught. The checksum follows."""

_TEXT, _NUMBER, _WHOLE = (str, NoneType), (float, NoneType), (int, NoneType)
_TYPES: tuple[type | tuple[type, ...], ...] = (
    *(str, str, int, str, _WHOLE, _WHOLE, _TEXT),
    *(_NUMBER if name in NUMBERS else _TEXT for name in REQUEST_COLUMNS),
    *(_TEXT, _WHOLE, *[_NUMBER] * 3),
)
"""Types of the values of a row, in the order of ``STORED``."""

_WHOLES = range(-(1 << 63), 1 << 63)
"""What fits the arrays that whole numbers come to."""


class Kind(StrEnum):
    """What happened to a job; ``WITHDRAWN`` is for one that left the queue and never ran."""

    SUBMITTED = "submitted"
    STARTED = "started"
    ENDED = "ended"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True)
class Event:
    """Something that happened to a job; which times are told says what.

    Attributes
    ----------
    cluster: name of the cluster; empty where there is only one.
    job_id: the scheduler's job id.
    submit_time: [s since 1970].
    start_time: [s since 1970]; None where the job waits, or has never run.
    end_time: [s since 1970]; None while the job waits or runs.
    state: one of ``schema.STATES``; None where not told.
    job: what the job asked for, by ``REQUEST_COLUMNS``; an absent or None value is unknown.
    """

    cluster: str
    job_id: str
    submit_time: int
    start_time: int | None
    end_time: int | None
    state: str | None
    job: Mapping[str, str | float | None]

    @property
    def kind(self) -> Kind:
        """What happened."""
        if self.start_time is None:
            return Kind.SUBMITTED if self.end_time is None else Kind.WITHDRAWN
        return Kind.STARTED if self.end_time is None else Kind.ENDED

    @property
    def run_time(self) -> int | None:
        """How long the job ran [s]; None where it has not ended, has never run, or took no time, which is no run."""
        if self.start_time is None or self.end_time is None or self.end_time <= self.start_time:
            return None
        return self.end_time - self.start_time


@dataclass(frozen=True)
class Lesson:
    """What the end of a job taught the calibration of a model, see ``models.conformal.Calibration.learn``.

    Attributes
    ----------
    model: version of the model that had forecast the job. tier: its tier of history.
    levels: at which levels of that forecast, before calibration, the run time lay.
    """

    model: str
    tier: int
    levels: tuple[float, float, float]


@dataclass(frozen=True)
class Entry:
    """An event in a journal: its number, which rises, and what it taught, where it taught anything."""

    number: int
    event: Event
    lesson: Lesson | None


def row_of(event: Event, lesson: Lesson | None) -> tuple[Any, ...]:
    """Return what is stored of an event, by ``STORED``, and its checksum."""
    job = [_stored(name, event.job.get(name)) for name in REQUEST_COLUMNS]
    identity = (event.cluster, event.job_id, event.submit_time, event.kind.value)
    taught = (lesson.model, lesson.tier, *lesson.levels) if lesson else (None,) * len(LESSON)
    values = (*identity, event.start_time, event.end_time, event.state, *job, *taught)
    return (*values, checksum(values))


def entry_of(number: int, row: Sequence[Any]) -> Entry:
    """Return the entry whose row this is; a store need not hold values to any types.

    Raises
    ------
    ValueError
        Where it is no row, or differs from its checksum.
    """
    *values, told = row
    # first, as not every value has a checksum
    if not _is_told(values):
        raise ValueError("holds what no event does")
    if told != checksum(values):
        raise ValueError("differs from its checksum")
    cluster, job_id, submit_time, _kind, start_time, end_time, state, *rest = values
    job, (model, tier, *levels) = rest[: -len(LESSON)], rest[-len(LESSON) :]
    event = Event(
        cluster, job_id, submit_time, start_time, end_time, state, dict(zip(REQUEST_COLUMNS, job, strict=True))
    )
    return Entry(number, event, None if model is None else Lesson(model, tier, tuple(levels)))


def checksum(values: Sequence[Any]) -> int:
    """Return the checksum of the values of a row."""
    return zlib.crc32(json.dumps(list(values)).encode())


def _stored(name: str, value: str | float | None) -> str | float | None:
    """Return a value as a store gives it back: numbers as float, NaN as unknown."""
    if value is None or name not in NUMBERS:
        return value
    number = float(value)
    return None if number != number else number  # noqa: PLR0124 # NaN alone differs from itself


def _is_told(values: Sequence[Any]) -> bool:
    """Return whether the values of a row are such as are stored of an event."""
    if len(values) != len(_TYPES) or any(isinstance(value, bool) for value in values):
        return False
    if not all(isinstance(value, kinds) for value, kinds in zip(values, _TYPES, strict=True)):
        return False
    if not all(value in _WHOLES for value in values if isinstance(value, int)):
        return False
    model, tier, *levels = values[-len(LESSON) :]
    return model is None or (tier in range(len(TIERS)) and None not in levels)
