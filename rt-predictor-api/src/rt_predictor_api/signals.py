"""Signals as an event."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

from rt_predictor_formats.signals import first_signal


@contextmanager
def event_of(*numbers: signal.Signals) -> Iterator[Event]:
    """Yield what is set once one of the signals has come; afterwards they do what they did. In the main thread."""
    event = Event()
    with first_signal(lambda _: event.set()):
        # none of them sets it: see there
        before = {number: signal.signal(number, lambda *_: None) for number in numbers}
        try:
            yield event
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
