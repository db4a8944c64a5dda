"""A command that a signal asks to end ends, whatever it does just then, and leaves nothing half-written."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event

from rt_predictor_formats.signals import first_signal

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells count it."""

TERMINATED = 143
"""Exit status after SIGTERM."""

GRACE_SECONDS = 2.0
"""How long a command that was asked to end may take to clear up [s]."""

unfinished: set[Path] = set()
"""Files that are removed where a command has to be ended from aside."""


@contextmanager
def ending() -> Iterator[Callable[[], int]]:
    """End the command when SIGINT or SIGTERM comes while the block lasts. In the main thread.

    Yields what tells with which status, 0 before a signal has come. The signal raises an exception in the main thread,
    so that the command clears up. That may be in the midst of a lock, which stays taken then, so that gRPC waits for
    ever while it closes the connection; and where the exception is lost, the command goes on. So a thread, which
    learns of the signal by a pipe, ends what has not ended by itself.
    """
    told, done = [0], Event()

    def watch(number: int) -> None:
        told[0] = 128 + number
        if done.wait(GRACE_SECONDS):
            return
        for path in tuple(unfinished):
            with suppress(OSError):
                path.unlink()
        os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, b"error: interrupted\n")
        os._exit(told[0])

    with first_signal(watch):
        before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
        try:
            yield lambda: told[0]
        finally:
            signal.signal(signal.SIGTERM, before)
            done.set()
