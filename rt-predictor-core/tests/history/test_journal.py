"""What the journal keeps, in which order, and what counts as the same event."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rt_predictor_core.history.events import REQUEST_COLUMNS, Event, Kind, Lesson
from rt_predictor_core.history.journal import REPLAY_ROWS, Journal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

JOB = {"user": "ada", "wallclock_req": 3600.0, "name": "relax_17"}


def ended(number: int, **changes: object) -> Event:
    event = Event("", str(number), 1_000 + number, 2_000 + number, 3_000 + number, "COMPLETED", JOB)
    return replace(event, **changes)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(tmp_path / "history" / "journal.sqlite3")
    yield opened
    opened.close()


def test_events_come_back_in_order_of_arrival(journal: Journal) -> None:
    journal.append([ended(3), ended(1)])
    journal.append([ended(2)])
    assert [(entry.number, entry.event.job_id) for entry in journal.replay()] == [(1, "3"), (2, "1"), (3, "2")]


def test_an_event_reported_twice_is_kept_once_as_first_told(journal: Journal) -> None:
    assert journal.append([ended(1), ended(2)]) == [True, True]
    assert journal.append([ended(1, end_time=9_999), ended(3)]) == [False, True]
    assert len(list(journal.replay())) == 3
    assert [entry.event.end_time for entry in journal.replay()] == [3_001, 3_002, 3_003]


def test_an_event_that_occurs_twice_in_one_call_is_kept_once(journal: Journal) -> None:
    assert journal.append([ended(1), ended(1)]) == [True, False]


@pytest.mark.parametrize(
    "other",
    [
        {"cluster": "b"},
        {"job_id": "2"},
        {"submit_time": 7},
        {"end_time": None, "state": None},
        {"start_time": None, "state": "CANCELLED"},
        {"start_time": None, "end_time": None, "state": None},
    ],
)
def test_cluster_job_id_submit_time_and_kind_make_the_identity(journal: Journal, other: dict[str, object]) -> None:
    journal.append([ended(1)])
    assert journal.append([ended(1, **other)]) == [True]


def test_the_times_that_are_told_say_what_happened() -> None:
    told = [(None, None), (5, None), (5, 9), (None, 9)]
    kinds = [ended(1, start_time=start, end_time=end).kind for start, end in told]
    assert kinds == [Kind.SUBMITTED, Kind.STARTED, Kind.ENDED, Kind.WITHDRAWN]


def test_a_replay_starts_after_a_number(journal: Journal) -> None:
    journal.append([ended(number) for number in range(5)])
    assert [entry.event.job_id for entry in journal.replay(after=3)] == ["3", "4"]
    assert list(journal.replay(after=5)) == []


def test_a_long_replay_sees_what_is_appended_meanwhile(journal: Journal) -> None:
    journal.append([ended(number) for number in range(REPLAY_ROWS + 1)])
    replay = journal.replay()
    next(replay)
    journal.append([ended(REPLAY_ROWS + 1)])
    assert [entry.event.job_id for entry in replay][-1] == str(REPLAY_ROWS + 1)


def test_nothing_in_means_nothing_stored(journal: Journal) -> None:
    assert journal.append([]) == []
    assert len(list(journal.replay())) == 0
    assert list(journal.replay()) == []


def test_a_reopened_journal_knows_everything(tmp_path: Path) -> None:
    first = Journal(tmp_path / "journal.sqlite3")
    first.append([ended(1), ended(2, end_time=None, state=None)])
    first.close()
    second = Journal(tmp_path / "journal.sqlite3")
    assert second.append([ended(1)]) == [False]
    assert [entry.event.end_time for entry in second.replay()] == [3_001, None]
    second.close()


def test_unknown_values_come_back_as_none(journal: Journal) -> None:
    journal.append([ended(1, job={"user": None, "mem_req": float("nan"), "nodes_req": 4})])
    (entry,) = journal.replay()
    event = entry.event
    assert tuple(event.job) == REQUEST_COLUMNS
    assert {name: value for name, value in event.job.items() if value is not None} == {"nodes_req": 4.0}


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
numbers = st.none() | st.floats(0, 1e12) | st.integers(0, 10**12).map(float)
times = st.integers(0, 4_102_444_799)
jobs = st.fixed_dictionaries(
    {name: numbers if name.endswith("_req") else st.none() | texts for name in REQUEST_COLUMNS}
)
told = st.none() | times
events = st.builds(Event, texts, texts, times, told, told, st.sampled_from([None, "FAILED"]), jobs)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(events, max_size=6))
def test_what_was_stored_is_what_comes_back(journal: Journal, batch: list[Event]) -> None:
    before = max((entry.number for entry in journal.replay()), default=0)
    new = journal.append(batch)
    kept = [event for event, is_new in zip(batch, new, strict=True) if is_new]
    assert [entry.event for entry in journal.replay(after=before)] == kept
    assert journal.append(batch) == [False] * len(batch)


def test_threads_that_append_the_same_events_store_each_once(journal: Journal) -> None:
    new: list[bool] = []
    batch = [[ended(number)] for number in range(50)]
    threads = [threading.Thread(target=lambda: [new.extend(journal.append(one)) for one in batch]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(new) == len(list(journal.replay())) == 50


LESSON = Lesson("20260101T000000Z-00000000", 3, (0.25, 1.0 / 3.0, 1.0))


def test_what_an_end_taught_comes_back_with_it_to_the_bit(journal: Journal) -> None:
    assert journal.append([ended(1), ended(2)], [LESSON, None]) == [True, True]
    assert journal.append([ended(1), ended(3)]) == [False, True]
    assert [entry.lesson for entry in journal.replay()] == [LESSON, None, None]


def test_the_mark_changes_with_every_append_of_something_new_and_never_otherwise(journal: Journal) -> None:
    marks = [journal.mark()]
    for number in range(50):
        journal.append([ended(number)])
        marks.append(journal.mark())
        journal.append([ended(number)])
        assert journal.mark() == marks[-1]
    assert len(set(marks)) == len(marks)


def test_another_opening_of_the_file_sees_the_mark_and_the_event(journal: Journal, tmp_path: Path) -> None:
    other = Journal(tmp_path / "history" / "journal.sqlite3")
    before = other.mark()
    journal.append([ended(1)])
    assert other.mark() == journal.mark() != before
    assert [entry.event.job_id for entry in other.replay()] == ["1"]
    assert other.append([ended(1)]) == [False]
    other.close()


def test_a_replay_does_not_wait_for_a_writer(journal: Journal, tmp_path: Path) -> None:
    journal.append([ended(1)])
    writer = sqlite3.connect(tmp_path / "history" / "journal.sqlite3", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    assert [entry.event.job_id for entry in journal.replay()] == ["1"]
    writer.close()
