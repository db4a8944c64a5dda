"""The journal against a killed process, a full disk and a damaged file."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from rt_predictor_core.history.events import STORED, Event, Lesson, checksum
from rt_predictor_core.history.journal import Journal
from rt_predictor_formats.errors import Problem

if TYPE_CHECKING:
    from pathlib import Path

WRITERS = 4
"""Processes that write to one journal."""

KILLS = 200

FARM = """
import os, sys
from pathlib import Path
from rt_predictor_core.history.events import Event
from rt_predictor_core.history.journal import Journal

def write(path, cluster, number):
    journal = Journal(path)
    while True:
        numbers = range(number, number + 1 + number % 7)
        journal.append([Event(cluster, str(n), n, n + 1, n + 2, "FAILED", {"name": "x" * 200}) for n in numbers])
        number = numbers.stop
        os.write(1, f"{cluster} {number}\\n".encode())

for order in sys.stdin:
    for cluster, number in enumerate(order.split()):
        child = os.fork()
        if child == 0:
            write(Path(sys.argv[1]), str(cluster), int(number))
        os.write(1, f"{cluster} process {child}\\n".encode())
    for _ in order.split():
        os.wait()
    os.write(1, b"over\\n")
"""
"""Forks writers that begin at the numbers of each line, and says when all of them are dead."""

FULL = """
import resource, sys
from pathlib import Path
from rt_predictor_core.history.events import Event
from rt_predictor_core.history.journal import Journal
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


def test_kills_at_any_moment_lose_no_acknowledged_event_of_several_writers(tmp_path: Path) -> None:
    path, luck, known = tmp_path / "journal.sqlite3", random.Random(15), [0] * WRITERS  # noqa: S311 # not for secrets
    farm = subprocess.Popen(
        [sys.executable, "-c", FARM, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with farm:
        for _ in range(KILLS // WRITERS):
            acknowledged = killed_writers(farm, known, luck)
            journal = Journal(path)
            stored = [(int(entry.event.cluster), int(entry.event.job_id)) for entry in journal.replay()]
            journal.close()
            for writer in range(WRITERS):
                own = [job for cluster, job in stored if cluster == writer]
                assert own == list(range(len(own))), "events are lost, doubled or out of order"
                assert len(own) >= acknowledged[writer]
                known[writer] = len(own)
        farm.kill()
    assert min(known) > 100


def killed_writers(farm: subprocess.Popen[str], known: list[int], luck: random.Random) -> list[int]:
    """Let writers write at the same time and kill each at any moment; return how much of each was acknowledged."""
    assert farm.stdin is not None
    assert farm.stdout is not None
    farm.stdin.write(" ".join(map(str, known)) + "\n")
    farm.stdin.flush()
    acknowledged, processes = list(known), {}
    left = [luck.randrange(1, 8) for _ in known]
    while (line := farm.stdout.readline()) != "over\n":
        writer, *word = line.split()
        if word[0] == "process":
            processes[int(writer)] = int(word[1])
            continue
        acknowledged[int(writer)] = int(word[0])
        left[int(writer)] -= 1
        if left[int(writer)] == 0:
            os.kill(processes[int(writer)], signal.SIGKILL)
    return acknowledged


def test_a_full_disk_is_named_and_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    run = subprocess.run([sys.executable, "-c", FULL, str(path)], check=True, capture_output=True, text=True)
    problem, kept = run.stdout.splitlines()
    assert problem.startswith(f"{path}: ")
    assert problem.endswith("[HISTORY_NOT_WRITABLE]")
    journal = Journal(path)
    assert [int(entry.event.job_id) for entry in journal.replay()] == list(range(int(kept)))
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
    with pytest.raises(Problem, match="the file is no journal") as caught:
        Journal(path)
    assert caught.value.code == "HISTORY_CORRUPT"
    assert path.read_bytes() == before


def test_a_closed_journal_is_a_mistake_of_the_caller_and_not_a_problem_of_the_disk(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite3")
    journal.close()
    with pytest.raises(sqlite3.ProgrammingError):
        journal.append([event(1)])


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("job_id", b"1"),
        ("user", b"\xff"),
        ("submit_time", "yesterday"),
        ("end_time", "x"),
        ("wallclock_req", "much"),
        ("tier", 255),
        ("level_run", None),
    ],
)
def test_a_value_that_no_event_has_is_damage_whatever_its_checksum(tmp_path: Path, column: str, value: object) -> None:
    path = tmp_path / "journal.sqlite3"
    with closing(Journal(path)) as journal:
        event = Event("", "1", 1, 2, 3, "FAILED", {"user": "ada", "wallclock_req": 60.0})
        journal.append([event], [Lesson("v1", 1, (0.1, 0.2, 0.3))])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f'UPDATE events SET "{column}" = ?', (value,))  # noqa: S608 # names of columns
        names = ", ".join(f'"{name}"' for name in STORED)
        (row,) = connection.execute(f"SELECT {names} FROM events")  # noqa: S608 # as above
        if not isinstance(value, bytes):
            connection.execute("UPDATE events SET checksum = ?", (checksum(row),))
    with closing(Journal(path)) as journal, pytest.raises(Problem, match="what no event does") as caught:
        list(journal.replay())
    assert caught.value.code == "HISTORY_CORRUPT"


def test_a_text_that_is_none_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    with closing(Journal(path)) as journal:
        journal.append([Event("", "number one", 1, 2, 3, "FAILED", {})])
    path.write_bytes(path.read_bytes().replace(b"number one", b"number \xff\xfe\xfd"))
    with closing(Journal(path)) as journal, pytest.raises(Problem) as caught:
        list(journal.replay())
    assert caught.value.code == "HISTORY_CORRUPT"
