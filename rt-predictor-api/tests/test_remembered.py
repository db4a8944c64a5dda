"""Forecasts that wait for their jobs' ends, in a file that may be lost but never wrong."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rt_predictor_api.live import Said
from rt_predictor_api.stores.remembered import Remembered


def said(number: int) -> Said:
    return Said(600.0 + number, 500.0, 1e3 / 3, (500.0, 600.0, 1e3 / 3), 2, "v1")


def test_what_is_kept_is_found_at_once_and_by_another_process_soon(tmp_path: Path, until: Callable[..., Any]) -> None:
    here, there = (Remembered(tmp_path / "forecasts.sqlite3", 100) for _ in range(2))
    here.keep([(("1", 10), said(1)), (("2", 10), said(2)), (("1", 10), said(3))])
    assert here.find([("1", 10), ("2", 10), ("1", 11)]) == [said(3), said(2), None]
    until(lambda: there.find([("1", 10), ("2", 10), ("3", 10)]) == [said(3), said(2), None], "the other to find it")
    there.finish([(("1", 10), None)])
    assert here.find([("1", 10), ("2", 10)]) == [None, said(2)]
    here.close()
    there.close()


def test_what_was_kept_outlives_the_process(tmp_path: Path) -> None:
    for number in range(3):
        memory = Remembered(tmp_path / "forecasts.sqlite3", 100)
        assert memory.find([("1", one) for one in range(3)]) == [
            said(one) if one < number else None for one in range(3)
        ]
        memory.keep([(("1", number), said(number))])
        memory.close()


@pytest.mark.parametrize("most", [0, 1, 5])
def test_only_the_newest_are_kept(tmp_path: Path, most: int) -> None:
    memory = Remembered(tmp_path / "forecasts.sqlite3", most)
    for number in range(20):
        memory.keep([((str(number), 0), said(number))])
    memory.close()
    memory = Remembered(tmp_path / "forecasts.sqlite3", most)
    found = memory.find([(str(number), 0) for number in range(20)])
    memory.close()
    assert found == [None] * (20 - most) + [said(number) for number in range(20 - most, 20)]


def test_a_damaged_file_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "forecasts.sqlite3").write_bytes(b"no database at all" * 1000)
    memory = Remembered(tmp_path / "forecasts.sqlite3", 100)
    memory.keep([(("1", 10), said(1))])
    memory.close()
    memory = Remembered(tmp_path / "forecasts.sqlite3", 100)
    assert memory.find([("1", 10)]) == [said(1)]
    memory.close()


def test_without_a_place_to_write_it_remembers_nothing_and_fails_nowhere(tmp_path: Path) -> None:
    (tmp_path / "forecasts.sqlite3").mkdir()
    memory = Remembered(tmp_path / "forecasts.sqlite3", 100)
    memory.keep([(("1", 10), said(1))])
    memory.finish([(("2", 10), said(2))])
    memory.close()
    assert memory.find([("1", 10)]) == [None]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[" * 9_999,
        '["600", 500.0, 700.0, [500.0, 600.0], 2, "v1"]',
        '[600.0, 500.0, NaN, [500.0, 600.0], 2, "v1"]',
        '[600.0, 500.0, 700.0, ["x"], 2, "v1"]',
        '[600.0, 500.0, 700.0, [500.0], 99, "v1"]',
        "[600.0, 500.0, 700.0, [500.0], 2, null]",
    ],
)
def test_what_was_never_said_is_not_remembered(tmp_path: Path, text: str) -> None:
    path = tmp_path / "forecasts.sqlite3"
    with closing(Remembered(path, 100)) as memory:
        memory.keep([(("1", 10), said(1))])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE said SET said = ?", (text,))
    with closing(Remembered(path, 100)) as memory:
        assert memory.find([("1", 10)]) == [None]


def test_a_damaged_file_whose_damage_is_no_text_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "forecasts.sqlite3"
    with closing(Remembered(path, 100)) as memory:
        memory.keep([(("1", 10), said(1))])
    path.write_bytes(path.read_bytes().replace(b"submit INTEGER", b"submit \xff\xfe'TEGE"))
    with closing(Remembered(path, 100)) as memory:
        memory.keep([(("1", 10), said(2))])
        assert memory.find([("1", 10)]) == [said(2)]
