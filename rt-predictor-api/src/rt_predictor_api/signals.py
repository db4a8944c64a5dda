"""Signals as an event."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread


@contextmanager
def event_of(*numbers: signal.Signals) -> Iterator[Event]:
    """Yield what is set once one of the signals has come; afterwards they do what they did before. In the main thread.

    No handler sets it. A handler runs in the main thread, between two steps of what that does: where it is about to
    wait for the event it may hold the event's lock, and where it has just begun to wait the handler does not run at
    all (https://docs.python.org/3/library/signal.html#execution-of-python-signal-handlers). A byte in a pipe is
    written at once, whatever the main thread does.
    """
    event = Event()
    read, write = os.pipe()
    os.set_blocking(write, False)

    def pass_on() -> None:
        # nothing is read once the other end is closed
        if os.read(read, 1):
            event.set()
        os.close(read)

    thread = Thread(target=pass_on, name="signals", daemon=True)
    thread.start()
    woken = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    before = {number: signal.signal(number, lambda *_: None) for number in numbers}
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(woken)
        os.close(write)
        thread.join()
