"""Every journal through the same cases: the file of one machine, and the stream of several."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rt_predictor_api.replica import Journaled
from rt_predictor_api.stores.redis import RedisJournal
from rt_predictor_core.history.events import REQUEST_COLUMNS, Event, Lesson
from rt_predictor_core.history.journal import Journal

LESSON = Lesson("20260101T000000Z-00000000", 3, (0.25, 1.0 / 3.0, 1.0))
Opener = Callable[[], Journaled]


def ended(number: int, **changes: object) -> Event:
    job = dict.fromkeys(REQUEST_COLUMNS) | {"user": "ada", "wallclock_req": 3600.0, "name": "relax_17"}
    return replace(Event("", str(number), 1_000 + number, 2_000, 3_000 + number, "COMPLETED", job), **changes)  # type: ignore[arg-type]


@pytest.fixture(params=["file", "redis"])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    if request.param == "file":
        return lambda: Journal(tmp_path / "journal.sqlite3")
    server = request.getfixturevalue("redis_server")
    server.clear()
    return lambda: RedisJournal(server.url, 5.0)


@pytest.fixture
def journal(opener: Opener) -> Iterator[Journaled]:
    opened = opener()
    yield opened
    opened.close()


def jobs(journal: Journaled, after: int = 0) -> list[str]:
    return [entry.event.job_id for entry in journal.replay(after)]


def test_events_come_back_in_order_with_what_they_taught_to_the_bit(journal: Journaled) -> None:
    assert journal.append([ended(3), ended(1)], [LESSON, None]) == [True, True]
    assert journal.append([ended(2, end_time=None, state=None)], [None]) == [True]
    entries = list(journal.replay(0))
    assert [entry.event.job_id for entry in entries] == ["3", "1", "2"]
    assert [entry.lesson for entry in entries] == [LESSON, None, None]
    assert {name: value for name, value in entries[0].event.job.items() if value is not None} == {
        "user": "ada",
        "wallclock_req": 3600.0,
        "name": "relax_17",
    }
    assert entries[2].event.end_time is None
    assert sorted(entry.number for entry in entries) == [entry.number for entry in entries]
    assert jobs(journal, entries[0].number) == ["1", "2"]


def test_the_newest_number_is_that_of_the_last_entry(journal: Journaled) -> None:
    assert journal.newest() == 0
    journal.append([ended(1), ended(2)], [None] * 2)
    assert journal.newest() == list(journal.replay(0))[-1].number
    before = journal.newest()
    journal.append([ended(3)], [None])
    assert jobs(journal, before) == ["3"]


def test_an_event_counts_once_as_it_was_first_told(journal: Journaled) -> None:
    assert journal.append([ended(1), ended(1), ended(2)], [None] * 3) == [True, False, True]
    assert journal.append([ended(1, end_time=9_999), ended(1, end_time=None), ended(1, cluster="b")], [None] * 3) == [
        False,
        True,
        True,
    ]
    assert [entry.event.end_time for entry in journal.replay(0)] == [3_001, 3_002, None, 3_001]


def test_all_that_happens_to_a_job_is_kept(journal: Journaled) -> None:
    told = [(None, None), (2_000, None), (2_000, 3_000), (None, 3_000)]
    events = [ended(1, start_time=start, end_time=end, state=None) for start, end in told]
    assert journal.append(events, [None] * 4) == [True] * 4
    assert not any(journal.append(events, [None] * 4))
    assert [(entry.event.start_time, entry.event.end_time) for entry in journal.replay(0)] == told


def test_the_mark_changes_with_what_is_new_alone(journal: Journaled) -> None:
    marks = [journal.mark()]
    for number in range(20):
        journal.append([ended(number)], [None])
        marks.append(journal.mark())
        journal.append([ended(number)], [None])
        assert journal.mark() == marks[-1]
    assert len(set(marks)) == len(marks)


def test_another_process_sees_the_mark_move(journal: Journaled, opener: Opener, until: Callable[..., object]) -> None:
    other = opener()
    for number in range(3):
        before = other.mark()
        journal.append([ended(number)], [None])
        until(lambda before=before: other.mark() != before, "the mark to move")
        assert jobs(other) == [str(one) for one in range(number + 1)]
    other.close()


def test_what_was_appended_is_there_when_it_is_opened_again(journal: Journaled, opener: Opener) -> None:
    journal.append([ended(1), ended(2)], [LESSON, None])
    again = opener()
    assert jobs(again) == ["1", "2"]
    assert again.append([ended(2), ended(3)], [None, None]) == [False, True]
    again.close()


def test_more_than_a_page_comes_back(journal: Journaled) -> None:
    events = [ended(number) for number in range(4_321)]
    assert all(journal.append(events, [None] * len(events)))
    assert jobs(journal) == [event.job_id for event in events]
    assert jobs(journal, list(journal.replay(0))[4_000].number) == [event.job_id for event in events[4_001:]]


def test_threads_and_openings_append_each_event_once(journal: Journaled, opener: Opener) -> None:
    other, new = opener(), []

    def append(one: Journaled) -> None:
        for number in range(60):
            new.extend(one.append([ended(number)], [None]))

    threads = [Thread(target=append, args=(one,)) for one in (journal, journal, other, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(new) == 60
    assert sorted(map(int, jobs(journal))) == list(range(60))
    other.close()


TEXT = st.none() | st.text(max_size=8)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    events=st.lists(
        st.builds(
            ended,
            st.integers(0, 5),
            cluster=st.text(max_size=4).filter(lambda text: "\0" not in text),
            job=st.fixed_dictionaries(dict.fromkeys(("user", "name", "work_dir"), TEXT)),
            state=TEXT,
        ),
        max_size=6,
    )
)
def test_what_is_told_is_what_comes_back(journal: Journaled, events: list[Event]) -> None:
    before = max((entry.number for entry in journal.replay(0)), default=0)
    new = journal.append(events, [None] * len(events))
    kept = [event for event, is_new in zip(events, new, strict=True) if is_new]
    back = [entry.event for entry in journal.replay(before)]
    assert [replace(event, job={name: event.job.get(name) for name in REQUEST_COLUMNS}) for event in back] == [
        replace(event, job={name: event.job.get(name) for name in REQUEST_COLUMNS}) for event in kept
    ]
    assert not any(journal.append(events, [None] * len(events)))
