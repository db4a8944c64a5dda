"""The row of an event: what a store gives back is the event, or refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_predictor_core.features.keys import TIERS
from rt_predictor_core.history.events import (
    NUMBERS,
    REQUEST_COLUMNS,
    STORED,
    Entry,
    Event,
    Lesson,
    checksum,
    entry_of,
    row_of,
)

TIMES = st.integers(-(1 << 63), (1 << 63) - 1)
TEXTS = st.text(st.characters(), max_size=20)  # lone surrogates too: a name may be any bytes
LEVELS = st.floats(0, 1)
EVENTS = st.builds(
    Event,
    cluster=TEXTS,
    job_id=TEXTS,
    submit_time=TIMES,
    start_time=st.none() | TIMES,
    end_time=st.none() | TIMES,
    state=st.none() | TEXTS,
    job=st.fixed_dictionaries(
        {name: st.none() | (st.floats(allow_nan=False) if name in NUMBERS else TEXTS) for name in REQUEST_COLUMNS}
    ),
)
LESSONS = st.none() | st.builds(
    Lesson, model=TEXTS, tier=st.integers(0, len(TIERS) - 1), levels=st.tuples(LEVELS, LEVELS, LEVELS)
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda some: st.lists(some, max_size=2) | st.dictionaries(TEXTS, some, max_size=2),
    max_leaves=3,
)


@given(event=EVENTS, lesson=LESSONS, number=st.integers(1))
def test_a_row_that_went_through_json_is_the_event_and_its_lesson(event: Event, lesson: Lesson, number: int) -> None:
    assert entry_of(number, json.loads(json.dumps(row_of(event, lesson)))) == Entry(number, event, lesson)


@given(event=EVENTS, lesson=LESSONS, place=st.integers(0, len(STORED) - 1), value=VALUES)
def test_a_value_that_changed_is_noticed(event: Event, lesson: Lesson, place: int, value: Any) -> None:
    row = list(row_of(event, lesson))
    if json.dumps(row[place]) == json.dumps(value):
        return
    row[place] = value
    with pytest.raises(ValueError, match=r"differs from its checksum|holds what no event does"):
        entry_of(1, row)


@given(event=EVENTS, lesson=LESSONS, place=st.integers(0, len(STORED) - 1), value=VALUES)
def test_with_a_checksum_that_fits_a_value_is_still_of_its_kind(
    event: Event, lesson: Lesson, place: int, value: Any
) -> None:
    row = list(row_of(event, lesson))
    row[place], row[-1] = value, checksum([*row[:place], value, *row[place + 1 : -1]])
    try:
        entry = entry_of(1, row)
    except ValueError:
        return
    again = entry.event
    kinds = {"cluster": str, "job_id": str, "submit_time": int}
    assert all(type(getattr(again, name)) is kind for name, kind in kinds.items())
    assert all(type(one) in {int, type(None)} for one in (again.start_time, again.end_time))
    assert all(type(one) in {float if name in NUMBERS else str, type(None)} for name, one in again.job.items())
    assert entry.lesson is None or (type(entry.lesson.tier) is int and 0 <= entry.lesson.tier < len(TIERS))


@pytest.mark.parametrize("row", [[], [0], [None] * (len(STORED) + 1), [None] * (len(STORED) + 2)])
def test_what_is_no_row_is_refused(row: list[Any]) -> None:
    with pytest.raises(ValueError, match=r"no event|unpack"):
        entry_of(1, row)
