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


def test_what_was_refused_before_any_process_counts_as_overload(tmp_path: Path) -> None:
    name, registry = "rtpredictor_calls_refused_total", CollectorRegistry()
    for process, reason in enumerate(("overloaded", "overloaded", "rate_exceeded")):
        written = MmapedDict(str(tmp_path / f"counter_{process}.db"))
        written.write_value(mmap_key(name, name, ("reason",), (reason,), "Calls."), 3.0, 0.0)
        written.close()
    gather(tmp_path, list, registry, lambda: 40)
    answer = generate_latest(registry).decode()
    assert f'{name}{{reason="overloaded"}} 46.0' in answer
    assert f'{name}{{reason="rate_exceeded"}} 3.0' in answer
