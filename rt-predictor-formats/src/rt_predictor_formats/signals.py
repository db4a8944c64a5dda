"""Signals as a call in a thread, which none is missed by."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread


@contextmanager
def first_signal(take: Callable[[int], object]) -> Iterator[None]:
    """Call ``take``, in a thread, with the number of the first signal that comes while the block lasts.

    To be opened in the main thread. It is of the signals that have a handler in Python, whatever that does. A handler
    runs in the main thread, between two steps of what that does: where it is about to wait for an event it may hold
    the event's lock, and where it has just begun to wait the handler does not run at all
    (https://docs.python.org/3/library/signal.html#execution-of-python-signal-handlers). A byte in a pipe is written at
    once, whatever the main thread does.
    """
    read, write = os.pipe()
    os.set_blocking(write, False)

    def pass_on() -> None:
        # nothing is read once the other end is closed
        if number := os.read(read, 1):
            take(number[0])
        os.close(read)

    thread = Thread(target=pass_on, name="signals", daemon=True)
    thread.start()
    woken = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(woken)
        os.close(write)
        thread.join()
