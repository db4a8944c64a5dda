"""A run over a file, against a real server."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from rt_predictor_client import Client
from rt_predictor_ui.batch import blocks
from rt_predictor_ui.batch import run as runs
from rt_predictor_ui.batch.run import Run
from rt_predictor_ui.batch.upload import read_upload


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def made(rows: int) -> Run:
    content = "user,time\n" + "".join(f"u{i},{i % 600 + 1}\n" for i in range(rows))
    upload = read_upload("jobs.csv", content.encode())
    return Run(upload, upload.guessed(), 0.1)


def test_a_run_that_breaks_off_goes_on_with_the_first_row_that_has_no_answer(
    peer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(blocks, "ROWS", 250)
    peer.flow.clear()
    peer.flowing = 2
    run = made(1000)
    run.start()
    wait_until(lambda: run.results.rows == 500)
    peer.stop()
    wait_until(lambda: run.progress().state == "waiting")
    assert run.progress().problem is not None
    peer.flow.set()
    peer.start()
    wait_until(lambda: not run.progress().going)
    assert (run.progress().state, run.progress().problem) == ("done", None)
    assert run.results.table()["user"].to_pylist() == [f"u{i}" for i in range(1000)]


def test_a_service_that_stays_away_ends_a_run(peer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(runs, "PATIENCE_SECONDS", 0.0)
    peer.stop()
    run = made(10)
    run.start()
    wait_until(lambda: not run.progress().going)
    progress = run.progress()
    assert (progress.state, progress.rows) == ("failed", 0)
    assert progress.problem is not None
    peer.start()


def test_a_cancelled_run_keeps_its_rows_and_its_thread_ends(peer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "ROWS", 250)
    peer.flow.clear()
    peer.flowing = 1
    run = made(1000)
    run.start()
    wait_until(lambda: run.results.rows == 250)
    run.cancel()
    assert run.progress().state == "cancelled"
    run._thread.join(10)
    assert not run._thread.is_alive()
    assert (run.progress().state, run.results.rows) == ("cancelled", 250)
    assert run.results.table()["user"].to_pylist() == [f"u{i}" for i in range(250)]


def test_what_should_not_happen_is_told(peer: Any) -> None:
    def connect() -> Client:
        raise RuntimeError("no")

    assert peer.port
    upload = read_upload("jobs.csv", b"user\nada\n")
    run = Run(upload, upload.guessed(), 0.1, connect)
    run.start()
    wait_until(lambda: not run.progress().going)
    problem = run.progress().problem
    assert problem is not None
    assert (problem.code, problem.thing) == ("UNEXPECTED", "RuntimeError")
