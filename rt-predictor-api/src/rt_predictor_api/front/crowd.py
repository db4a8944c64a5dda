"""Whether too many calls come: it is so from the first that nginx refuses until it has refused none for a while.

In a burst, or from a few callers who always ask, a worker may have many calls in progress. Had it as many while more
come than it can answer, each would wait for all of them.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

from rt_predictor_api.admission import RETRY_SECONDS
from rt_predictor_api.front.folder import Folder

TOLD = 20
"""nginx tells of one refused call in so many."""

LASTING_SECONDS = 2 * RETRY_SECONDS
"""How long none must be refused: longer than those who were refused wait before they try again."""


class Crowd:
    """The state, which nginx reads from a file; built on a fresh folder.

    Attributes
    ----------
    refused: calls that nginx has refused, estimated from those of which it told.
    on_refused: called with each addition to that.
    """

    def __init__(self, folder: Folder) -> None:
        self._file = folder.crowded
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(folder.refused))
        self._socket.setblocking(False)
        self._last = 0.0
        self._crowded = False
        self.refused = 0
        self.on_refused: Callable[[int], object] = lambda _: None

    def fileno(self) -> int:
        """Return what can be read from once nginx tells of a refused call."""
        return self._socket.fileno()

    def look(self) -> None:
        """Hear what nginx tells, and let it know what follows from that."""
        told = 0
        with suppress(BlockingIOError):
            while self._socket.recv(1_024):
                told += TOLD
        now = monotonic()
        if told:
            self._last = now
            if not self._crowded:
                self._file.touch()
                self._crowded = True
            self.refused += told
            self.on_refused(told)
        elif self._crowded and now - self._last > LASTING_SECONDS:
            self._file.unlink()
            self._crowded = False

    def close(self) -> None:
        """Hear no more."""
        self._socket.close()
