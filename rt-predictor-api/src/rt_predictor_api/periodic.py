"""What is done every so often, in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread

import structlog


class Periodic:
    """Acts once per interval until it is stopped; built stopped.

    Parameters
    ----------
    act: what is done. An error that nobody foresaw is logged: what holds goes on holding, and the next may succeed.
    seconds: time between the end of one and the beginning of the next.
    name: of the thread. failed: what is logged of an error.
    """

    def __init__(self, act: Callable[[], object], seconds: float, *, name: str, failed: str) -> None:
        self._act = act
        self._seconds = seconds
        self._failed = failed
        self._stop = Event()
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._log = structlog.get_logger()

    def start(self) -> None:
        """Begin; the first time is after the first interval."""
        self._thread.start()

    def stop(self) -> None:
        """Act no more; returns when the thread has ended, at the latest after what it does now."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            try:
                self._act()
            except Exception:  # noqa: BLE001 - see act
                self._log.exception(self._failed)
