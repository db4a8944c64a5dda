"""A scrape of what several processes write to a folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.mmap_dict import MmapedDict, mmap_key

from rt_predictor_api.scrape import gather


def told(folder: Path) -> str:
    registry = CollectorRegistry()
    gather(folder, lambda: [os.getpid()], registry)
    return generate_latest(registry).decode()


def write(path: Path, value: float) -> None:
    written = MmapedDict(str(path))
    written.write_value(mmap_key("calls_total", "calls_total", (), (), "Calls."), value, 0.0)
    written.close()


def test_what_processes_count_is_added_up(tmp_path: Path) -> None:
    for process in (7, 8):
        write(tmp_path / f"counter_{process}.db", process)
    answer = told(tmp_path)
    assert "\ncalls_total 15.0\n" in answer
    assert "process_resident_memory_bytes" in answer


@pytest.mark.parametrize("size", [0, 1 << 20])
def test_a_file_that_was_only_just_begun_counts_for_nothing(tmp_path: Path, size: int) -> None:
    write(tmp_path / "counter_7.db", 7)
    with (tmp_path / "counter_8.db").open("wb") as begun:
        begun.truncate(size)
    assert "\ncalls_total 7.0\n" in told(tmp_path)


def test_before_any_process_has_counted_a_scrape_has_an_answer(tmp_path: Path) -> None:
    assert "calls_total" not in told(tmp_path)
