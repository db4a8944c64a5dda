"""What the pages take, in time and memory: `make bench-pages`. By its name no other run takes it for a test."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import psutil
import pytest

from rt_predictor_formats.times import format_duration

pytestmark = pytest.mark.browser

LONG = 1_800_000
"""Longest wait for what a page shall show [ms]."""

ROUNDS = 7
MANY = 1_000_000


def told(what: str, figure: str) -> None:
    sys.stdout.write(f"| {what} | {figure} |\n")
    sys.stdout.flush()


class Memory:
    """Most memory of a process while a block lasts [bytes]: all of it, and what is no file of results."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._stop = threading.Event()
        self.resident = self.own = 0

    @contextmanager
    def watched(self) -> Iterator[Memory]:
        thread = threading.Thread(target=self._watch)
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.05):
            now = self._process.memory_info()
            self.resident = max(self.resident, now.rss)
            self.own = max(self.own, now.rss - now.shared)

    def __str__(self) -> str:
        return f"{self.own / 1e6:,.0f} MB, {self.resident / 1e6:,.0f} MB with the mapped file"


def test_time_to_the_first_answer(look: Any, example: dict[str, Any]) -> None:
    opened, state, pressed = [], [], []
    asked = f"?user={example['user']}&time={format_duration(float(example['wallclock_req']))}&nodes=1"
    for _ in range(ROUNDS):
        visit = look()
        page = visit.page
        begin = time.perf_counter()
        page.goto(f"{visit.address}/{asked}")
        page.get_by_role("button", name="Predict", exact=True).wait_for(timeout=LONG)
        opened.append(time.perf_counter() - begin)
        page.get_by_text("The service answers").wait_for(timeout=LONG)
        state.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        page.get_by_role("button", name="Predict", exact=True).click()
        page.locator("[aria-label^='Run time: median ']").first.wait_for(timeout=LONG)
        pressed.append(time.perf_counter() - begin)
        page.close()
    for what, taken in (
        ("from the address to the form", opened),
        ("from the address to the state of the service", state),
        ("from Predict to the drawn forecast", pressed),
    ):
        told(what, f"{median(taken):.2f} s ({min(taken):.2f} to {max(taken):.2f})")


def test_a_million_rows(look: Any, site: Any, example: dict[str, Any]) -> None:
    page = look().open("batch", "Forecast many jobs")
    users = [str(example["user"]), *(f"user{i:04}" for i in range(400))]
    rows = "".join(f"{users[i % 401]},{i * 37 % 1400 + 1},{i % 8 + 1},run_{i % 977},job {i}\n" for i in range(MANY))
    content = f"user,time,nodes_req,name,comment\n{rows}".encode()
    told("file", f"{MANY:,} rows, {len(content) / 1e6:.0f} MB")
    path = site.folder / "million.csv"
    path.write_bytes(content)
    idle = psutil.Process(site.ui.running.pid).memory_info()
    told("pages before", f"{(idle.rss - idle.shared) / 1e6:,.0f} MB")
    with Memory(site.ui.running.pid).watched() as memory:
        begin = time.perf_counter()
        page.locator("input[type=file]").set_input_files(path)
        page.get_by_role("button", name=f"Predict {MANY:,} rows").wait_for(timeout=LONG)
        told("from the file to its preview", f"{time.perf_counter() - begin:.1f} s")
        begin = time.perf_counter()
        page.get_by_role("button", name=f"Predict {MANY:,} rows").click()
        page.get_by_text(f"Done: {MANY:,} of {MANY:,} rows").wait_for(timeout=LONG)
        seconds = time.perf_counter() - begin
        told("from Predict to the last row", f"{seconds:.1f} s, {MANY / seconds:,.0f} rows/s")
        page.get_by_text(f"{MANY:,} of {MANY:,} rows").last.wait_for(timeout=LONG)
    told("most memory until then", str(memory))
    with Memory(site.ui.running.pid).watched() as memory:
        begin = time.perf_counter()
        page.get_by_role("textbox", name="Contains").fill("job 99999")
        page.get_by_role("textbox", name="Contains").press("Enter")
        page.get_by_text(f"11 of {MANY:,} rows").wait_for(timeout=LONG)
        told("filter by text", f"{time.perf_counter() - begin:.1f} s")
        page.get_by_role("textbox", name="Contains").fill("")
        page.get_by_role("textbox", name="Contains").press("Enter")
        page.get_by_text(f"{MANY:,} of {MANY:,} rows").last.wait_for(timeout=LONG)
    told("most memory while filtering", str(memory))
    for label in ("Results as Parquet", "Results as CSV"):
        with Memory(site.ui.running.pid).watched() as memory:
            begin = time.perf_counter()
            with page.expect_download(timeout=LONG) as kept:
                page.get_by_role("button", name=label).click()
            target = site.folder / "kept"
            kept.value.save_as(target)
            told(label, f"{time.perf_counter() - begin:.1f} s, {target.stat().st_size / 1e6:.0f} MB, memory {memory}")
