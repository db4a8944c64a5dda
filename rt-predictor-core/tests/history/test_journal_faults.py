"""The journal against a killed process, a full disk and a damaged file."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from rt_predictor_core.history.journal import Event, Journal
from rt_predictor_formats.errors import Problem

if TYPE_CHECKING:
    from pathlib import Path

WRITER = """
import sys
from pathlib import Path
from rt_predictor_core.history.journal import Event, Journal
journal, number = Journal(Path(sys.argv[1])), int(sys.argv[2])
while True:
    numbers = range(number, number + 1 + number % 7)
    journal.append([Event("", str(n), n, n + 1, n + 2, "FAILED", {"user": "ada", "name": "x" * 200}) for n in numbers])
    number = numbers.stop
    print(number, flush=True)
"""

FULL = """
import resource, sys
from pathlib import Path
from rt_predictor_core.history.journal import Event, Journal
from rt_predictor_formats.errors import Problem
journal = Journal(Path(sys.argv[1]))
event = lambda n: Event("", str(n), n, n + 1, n + 2, "FAILED", {"user": "ada", "submit_line": "x" * 9000})
journal.append([event(0)])
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
kept = 1
try:
    while True:
        kept += sum(journal.append([event(kept), event(kept + 1)]))
except Problem as problem:
    print(problem)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
kept += sum(journal.append([event(kept), event(kept + 1)]))
print(kept)
"""


def event(number: int) -> Event:
    return Event("", str(number), number, number + 1, number + 2, "COMPLETED", {"user": "ada", "name": "relax"})


def filled(path: Path, rows: int = 400) -> Path:
    journal = Journal(path)
    journal.append([event(number) for number in range(rows)])
    journal.close()
    return path


def test_a_kill_at_any_moment_loses_no_acknowledged_event(tmp_path: Path) -> None:
    path, luck, known = tmp_path / "journal.sqlite3", random.Random(15), 0  # noqa: S311 # not for secrets
    for _ in range(15):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(known)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        acknowledged = known
        for _ in range(luck.randrange(1, 40)):
            acknowledged = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().split("\n")[:-1]
        writer.stdout.close()
        assert writer.wait() == -signal.SIGKILL
        acknowledged = int(rest[-1]) if rest else acknowledged
        journal = Journal(path)
        stored = [int(one.job_id) for _, one in journal.replay()]
        known = journal.count()
        journal.close()
        assert stored == list(range(known)), "events are lost, doubled or out of order"
        assert known >= acknowledged
    assert known > 100


def test_a_full_disk_is_named_and_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    run = subprocess.run([sys.executable, "-c", FULL, str(path)], check=True, capture_output=True, text=True)
    problem, kept = run.stdout.splitlines()
    assert problem.startswith(f"{path}: ")
    assert problem.endswith("[HISTORY_NOT_WRITABLE]")
    journal = Journal(path)
    assert [int(one.job_id) for _, one in journal.replay()] == list(range(int(kept)))
    journal.close()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "history").write_text("a file is in the way")
    with pytest.raises(Problem) as caught:
        Journal(tmp_path / "history" / "journal.sqlite3")
    assert caught.value.code == "HISTORY_NOT_WRITABLE"
    assert caught.value.place == str(tmp_path / "history" / "journal.sqlite3")


def test_a_locked_journal_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rt_predictor_core.history.journal.BUSY_SECONDS", 0.05)
    journal = Journal(tmp_path / "journal.sqlite3")
    other = sqlite3.connect(tmp_path / "journal.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Problem) as caught:
        journal.append([event(1)])
    other.close()
    assert caught.value.code == "HISTORY_NOT_WRITABLE"
    assert journal.append([event(1)]) == [True]
    journal.close()


def test_a_changed_byte_inside_a_value_is_found(tmp_path: Path) -> None:
    path = filled(tmp_path / "journal.sqlite3")
    data = path.read_bytes()
    assert data.count(b"relax") == 400
    path.write_bytes(data.replace(b"relax", b"relay", 1))
    journal = Journal(path)
    with pytest.raises(Problem, match=r"event \d+ differs from its checksum") as caught:
        list(journal.replay())
    journal.close()
    assert caught.value.code == "HISTORY_CORRUPT"
    assert caught.value.place == str(path)


@pytest.mark.parametrize("damage", ["header", "page", "cut", "text"])
def test_a_damaged_file_is_refused_and_left_as_it_is(tmp_path: Path, damage: str) -> None:
    path = filled(tmp_path / "journal.sqlite3")
    data = bytearray(path.read_bytes())
    damaged = {
        "header": bytes(16) + data[16:],
        "page": data[:8192] + bytes(4096) + data[12288:],
        "cut": data[: len(data) // 2],
        "text": b"job_id,submit_time\n" * 500,
    }[damage]
    path.write_bytes(damaged)
    with pytest.raises(Problem) as caught:
        Journal(path)
    assert caught.value.code == "HISTORY_CORRUPT"
    assert "move it away" in caught.value.remedy
    assert path.read_bytes() == damaged


def test_another_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE accounts (name TEXT)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(Problem, match="no journal of format 2") as caught:
        Journal(path)
    assert caught.value.code == "HISTORY_CORRUPT"
    assert path.read_bytes() == before


def test_a_closed_journal_is_a_mistake_of_the_caller_and_not_a_problem_of_the_disk(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite3")
    journal.close()
    with pytest.raises(sqlite3.ProgrammingError):
        journal.append([event(1)])
