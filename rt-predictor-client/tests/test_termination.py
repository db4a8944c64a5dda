"""A command that is ended leaves nothing half-written."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

LOST = """
from threading import Event
from rt_predictor_client import Client
from rt_predictor_client.cli import main
made = Client.{0}
def lost(self, *given):
    answer = made(self, *given)
    while True:
        try:
            list(answer or [])
            Event().wait()
        except KeyboardInterrupt:
            pass
Client.{0} = lost
main()
"""
"""A command that an exception does not end: while it closes the connection, or while it waits for answers."""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_ended_batch_leaves_no_file(peer: Any, tmp_path: Path, number: signal.Signals, status: int) -> None:
    peer.hang = threading.Event()
    source = tmp_path / "in.csv"
    source.write_text("wallclock_req\n60\n", encoding="utf-8")
    command = [sys.executable, "-c", "from rt_predictor_client.cli import main; main()", "--address", peer.address]
    with subprocess.Popen([*command, "batch", source, "-o", tmp_path / "out.csv"], stderr=subprocess.PIPE) as running:
        wait_for_call(peer)
        running.send_signal(number)
        _, said = running.communicate(timeout=20)
    assert running.returncode == status, said
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("lost", ["close", "predict_many"])
def test_what_is_asked_to_end_ends_though_a_lock_is_taken_or_nobody_heard_it(
    peer: Any, tmp_path: Path, lost: str
) -> None:
    peer.hang = threading.Event()
    source = tmp_path / "in.csv"
    source.write_text("wallclock_req\n60\n", encoding="utf-8")
    command = [sys.executable, "-c", LOST.format(lost), "--address", peer.address]
    with subprocess.Popen([*command, "batch", source, "-o", tmp_path / "out.csv"], stderr=subprocess.PIPE) as running:
        wait_for_call(peer)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=20)
    assert (running.returncode, said.splitlines()[-1]) == (130, b"error: interrupted")
    assert list(tmp_path.iterdir()) == [source]


def wait_for_call(peer: Any) -> None:
    deadline = time.monotonic() + 20
    while not peer.calls:
        assert time.monotonic() < deadline, "the service was not called"
        time.sleep(0.02)
