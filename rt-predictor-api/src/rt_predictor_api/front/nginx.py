"""nginx as a process."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from time import monotonic, sleep

from rt_predictor_api.front import launch
from rt_predictor_api.front.folder import Folder

LOOK_SECONDS = 0.01
"""How often is looked whether it has begun [s]."""

PLACES = "/usr/sbin:/usr/local/sbin:/usr/local/nginx/sbin:/opt/nginx/sbin"
"""Where the program is, beside the places of all programs, which are those of administrators only on some systems."""


class Nginx:
    """nginx from its start; it ends when the thread does that has started it."""

    def __init__(self, program: str, folder: Folder) -> None:
        self._folder = folder
        command = [program, "-e", str(folder.said), "-p", str(folder.path), "-c", str(folder.configuration)]
        with folder.said.open("wb") as said:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), *command],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                # ctrl-C in a terminal is for the service, which ends it when calls have ended
                process_group=0,
            )
        self._watched = os.pidfd_open(self._process.pid)

    @property
    def status(self) -> int | None:
        """Its exit status; None while it runs."""
        return self._process.poll()

    def begins(self, address: tuple[str, int], seconds: float) -> bool:
        """Return whether it listens within some time; what does not is killed."""
        deadline = monotonic() + seconds
        while self.status is None and monotonic() < deadline:
            try:
                with socket.create_connection(address, LOOK_SECONDS):
                    return True
            except OSError:
                sleep(LOOK_SECONDS)
        self.signal(signal.SIGKILL)
        return False

    def fileno(self) -> int:
        """Return a file descriptor that can be read from once it has ended, until ``wait``."""
        return self._watched

    def wait(self) -> None:
        """Return when it has ended, and what it had started too, which would go on where it was killed."""
        self._process.wait()
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with suppress(OSError):
            os.close(self._watched)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, where it still runs."""
        self._process.send_signal(number)

    def last_words(self) -> str:
        """Return what it said last."""
        try:
            lines = self._folder.said.read_text("utf-8", errors="replace").splitlines()
        except OSError:
            return ""
        return " ".join(lines[-3:])


def program() -> str | None:
    """Return the path of the program; None where there is none that can be used."""
    # elsewhere nothing would end it together with the service
    if sys.platform != "linux":
        return None
    beside = os.path.dirname(sys.executable)  # noqa: PTH120 - no link is to be followed
    return shutil.which("nginx", path=os.pathsep.join((beside, os.environ.get("PATH", os.defpath), PLACES)))
