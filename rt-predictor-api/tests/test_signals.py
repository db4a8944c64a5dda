from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from rt_predictor_api.signals import event_of

STORM = """
import os, signal, threading
from rt_predictor_api.signals import event_of
go = threading.Semaphore(0)
def kill():
    while True:
        go.acquire()
        os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=kill, daemon=True).start()
for _ in range(10_000):
    with event_of(signal.SIGTERM) as stop:
        go.release()
        stop.wait()
"""
"""The signal comes when the main thread begins to wait. A handler that sets the event misses one in some 10,000."""


def test_no_signal_is_missed_whatever_the_main_thread_does_just_then() -> None:
    # a process of its own: what misses one waits for ever
    subprocess.run([sys.executable, "-c", STORM], timeout=120, check=True)


def test_afterwards_signals_do_what_they_did_and_nothing_is_left() -> None:
    before = signal.getsignal(signal.SIGTERM)
    files, threads = len(list(Path("/dev/fd").iterdir())), threading.active_count()
    with event_of(signal.SIGTERM, signal.SIGINT) as stop:
        assert not stop.wait(0)
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.wait(60)
    with event_of(signal.SIGTERM) as stop:
        pass
    assert not stop.is_set()
    assert signal.getsignal(signal.SIGTERM) is before
    assert (len(list(Path("/dev/fd").iterdir())), threading.active_count()) == (files, threads)
