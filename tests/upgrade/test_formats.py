"""What an older release wrote is read; what a newer one wrote is refused with what to do."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from small_model import publish_small

import written
from rt_predictor_api import backup, restore
from rt_predictor_api.settings import read
from rt_predictor_api.stores import JOURNAL
from rt_predictor_api.stores.redis import RedisJournal
from rt_predictor_core.artifact.load import newest
from rt_predictor_core.artifact.manifest import FORMAT as MANIFEST_FORMAT
from rt_predictor_core.artifact.manifest import NAME
from rt_predictor_core.history.events import Entry, Event, Lesson, row_of
from rt_predictor_core.history.journal import FORMAT, Journal
from rt_predictor_formats.errors import Problem

EVERY_FORMAT = pytest.mark.parametrize("number", written.JOURNALS)


def entries(path: Path) -> list[Entry]:
    with closing(Journal(path)) as journal:
        return list(journal.replay())


def event(job: written.Job) -> Event:
    return Event("", job["id"], job["submit"], job["start"], job["end"], job["state"], written.ASKED)


def test_every_format_so_far_has_a_program_that_writes_it() -> None:
    assert set(written.JOURNALS) == set(range(1, FORMAT + 1))


@EVERY_FORMAT
def test_a_journal_is_read_with_all_its_events(number: int, tmp_path: Path) -> None:
    written.JOURNALS[number](tmp_path / JOURNAL)
    for _ in range(2):  # as it was, and as the first opening left it
        found = entries(tmp_path / JOURNAL)
        assert [entry.event for entry in found] == [event(job) for job in written.JOBS]
        assert [entry.number for entry in found] == [1, 2]
    taught = Lesson("20260101T000000Z-0a0a0a0a", 1, (0.5, 0.25, 0.75)) if number > 1 else None
    assert [entry.lesson for entry in found] == [taught, None]


@EVERY_FORMAT
def test_a_journal_goes_on_in_todays_format(number: int, tmp_path: Path) -> None:
    written.JOURNALS[number](tmp_path / JOURNAL)
    ended = Event("", "2", 1_700_000_500, 1_700_000_900, 1_700_001_000, "FAILED", written.ASKED)
    with closing(Journal(tmp_path / JOURNAL)) as journal:
        # what was told before counts once, over the change of the format too
        assert journal.append([event(written.JOBS[0]), ended]) == [False, True]
    with closing(sqlite3.connect(tmp_path / JOURNAL)) as opened:
        assert opened.execute("PRAGMA user_version").fetchone() == (FORMAT,)
    assert [entry.event for entry in entries(tmp_path / JOURNAL)][-1] == ended


def test_todays_code_writes_what_the_program_of_todays_format_does(tmp_path: Path) -> None:
    written.JOURNALS[FORMAT](tmp_path / "then")
    with closing(Journal(tmp_path / "now")) as journal:
        journal.append(
            [event(job) for job in written.JOBS], [Lesson("20260101T000000Z-0a0a0a0a", 1, (0.5, 0.25, 0.75)), None]
        )
    rows = []
    for name in ("then", "now"):
        with closing(sqlite3.connect(tmp_path / name)) as opened:
            found = opened.execute("SELECT * FROM events ORDER BY seq")
            rows.append(([column[0] for column in found.description], found.fetchall()))
    assert rows[0] == rows[1], "the layout has changed: raise FORMAT, bring the old one over, add a program here"


def test_a_journal_of_a_newer_release_is_refused_and_stays(tmp_path: Path) -> None:
    written.JOURNALS[FORMAT](tmp_path / JOURNAL)
    with closing(sqlite3.connect(tmp_path / JOURNAL)) as opened:
        opened.execute(f"PRAGMA user_version={FORMAT + 1}")
    before = (tmp_path / JOURNAL).read_bytes()
    with pytest.raises(Problem) as caught:
        Journal(tmp_path / JOURNAL)
    assert caught.value.code == "HISTORY_FORMAT"
    assert "restore the backup from before the upgrade" in str(caught.value)
    assert (tmp_path / JOURNAL).read_bytes() == before


@pytest.mark.parametrize("other", [MANIFEST_FORMAT - 1, MANIFEST_FORMAT + 1])
def test_a_model_of_another_format_is_refused_and_the_newest_that_fits_answers(other: int, tmp_path: Path) -> None:
    fits = publish_small(tmp_path)
    foreign = tmp_path / "20990101T000000Z-00000000"
    foreign.mkdir()
    document = json.loads((fits / NAME).read_text())
    (foreign / NAME).write_text(json.dumps(document | {"format": other}))
    assert newest(tmp_path).path == fits
    (fits / NAME).unlink()
    with pytest.raises(Problem, match=f"the artifact has format {other}.*train again.*ARTIFACT_FORMAT"):
        newest(tmp_path)


def test_a_model_of_other_features_says_to_train_again(tmp_path: Path) -> None:
    model = publish_small(tmp_path)
    document = json.loads((model / NAME).read_text())
    (model / NAME).write_text(json.dumps(document | {"features": "of another release"}))
    with pytest.raises(Problem, match=r"train again.*ARTIFACT_FEATURES"):
        newest(tmp_path)


@EVERY_FORMAT
def test_a_backup_with_an_older_history_is_restored(number: int, tmp_path: Path) -> None:
    written.JOURNALS[number](tmp_path / "old/history" / JOURNAL)
    publish_small(tmp_path / "old/models")
    there = read({"models": tmp_path / "old/models", "history": tmp_path / "old/history"})
    here = read({"models": tmp_path / "new/models", "history": tmp_path / "new/history"})
    assert backup.write(tmp_path / "all.tar", there).events == len(written.JOBS)
    restore.read(tmp_path / "all.tar", here)
    assert [entry.event for entry in entries(tmp_path / "new/history" / JOURNAL)] == [
        event(job) for job in written.JOBS
    ]
    assert newest(tmp_path / "new/models").manifest.format == MANIFEST_FORMAT


def test_an_entry_in_redis_is_read_and_written_as_ever() -> None:
    fields: Any = {b"entry": written.REDIS_ENTRY.encode()}
    entry = RedisJournal._entry(None, 1, fields)  # type: ignore[arg-type]  # asks nothing of the journal
    asked = dict.fromkeys(written.ASKED) | {"user": "ada", "wallclock_req": 7200.0}
    assert entry.event == Event("", "1", 1_700_000_000, 1_700_000_060, 1_700_003_660, "COMPLETED", asked)
    assert entry.lesson == Lesson("20260101T000000Z-0a0a0a0a", 1, (0.5, 0.25, 0.75))
    assert json.loads(json.dumps(row_of(entry.event, entry.lesson))) == json.loads(written.REDIS_ENTRY)
