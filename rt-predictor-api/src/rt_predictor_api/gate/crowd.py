"""Whether too many calls come: it is so from the first that nginx refuses until it has refused none for a while.

In a burst, or from a few callers who always ask, a worker may have many calls in progress. Had it as many while more
come than it can answer, each would wait for all of them.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from time import monotonic

from rt_predictor_api.admission import RETRY_SECONDS
from rt_predictor_api.gate.folder import Folder

TOLD_SHARE = 0.05
"""Part of the refused calls of which nginx tells."""

LASTING_SECONDS = 2 * RETRY_SECONDS
"""How long none must be refused: longer than those who were refused wait before they try again."""


class Crowd:
    """The state, which nginx reads from a file; built on a fresh folder.

    Attributes
    ----------
    refused: calls that nginx has refused, by those of which it told.
    """

    def __init__(self, folder: Folder) -> None:
        self._file = folder.crowded
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(folder.refused))
        self._socket.setblocking(False)
        self._last = 0.0
        self.crowded = False
        self.refused = 0.0

    def fileno(self) -> int:
        """Return what can be read from once nginx tells of a refused call."""
        return self._socket.fileno()

    def look(self) -> None:
        """Hear what nginx tells, and let it know what follows from that."""
        told = 0
        with suppress(BlockingIOError):
            while self._socket.recv(1_024):
                told += 1
        now = monotonic()
        if told:
            self.refused += told / TOLD_SHARE
            self._last = now
        if bool(told) and not self.crowded:
            self._file.touch()
            self.crowded = True
        elif self.crowded and now - self._last > LASTING_SECONDS:
            self._file.unlink()
            self.crowded = False

    def close(self) -> None:
        """Hear no more."""
        self._socket.close()
