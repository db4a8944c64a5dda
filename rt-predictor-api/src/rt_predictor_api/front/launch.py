"""Becomes another program that ends when its parent does, however that comes about; run as a script, on Linux.

    launch.py PARENT PROGRAM [ARGUMENT...]

It knows nothing of its package, so that it starts within milliseconds.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""prctl(2): the signal stays set over execve(2)."""


def launch(parent: int, program: str, arguments: list[str]) -> None:
    """Replace this process; returns only where the parent is gone already."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "prctl")
    if os.getppid() == parent:
        os.execv(program, [program, *arguments])  # noqa: S606 - a shell would be its parent


if __name__ == "__main__":
    launch(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
