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


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_ended_batch_leaves_no_file(peer: Any, tmp_path: Path, number: signal.Signals, status: int) -> None:
    peer.hang = threading.Event()
    source = tmp_path / "in.csv"
    source.write_text("wallclock_req\n60\n", encoding="utf-8")
    command = [sys.executable, "-c", "from rt_predictor_client.cli import main; main()", "--address", peer.address]
    with subprocess.Popen([*command, "batch", source, "-o", tmp_path / "out.csv"], stderr=subprocess.PIPE) as running:
        wait_for_call(peer)
        running.send_signal(number)
        assert running.wait(20) == status
    assert list(tmp_path.iterdir()) == [source]


def wait_for_call(peer: Any) -> None:
    deadline = time.monotonic() + 20
    while not peer.calls:
        assert time.monotonic() < deadline, "the service was not called"
        time.sleep(0.02)
