"""A mark that several processes share and that each can change; a look at it costs next to nothing."""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_SIZE = 8


class SharedMark:
    """Eight bytes of a file, mapped into the memory of every process that opens it.

    Each change writes a number that was never there before, so that a reader who sees the number of its last look has
    missed nothing, in whichever order processes write. Raises OSError where the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(file).st_size < _SIZE:
                # room on the disk now: a page that finds none later would kill the process
                os.pwrite(file, bytes(_SIZE), 0)
            self._map = mmap.mmap(file, _SIZE)
        finally:
            os.close(file)
        self._words = memoryview(self._map).cast("Q")

    def __call__(self) -> int:
        """Return the mark as it is now."""
        return self._words[0]

    def change(self) -> None:
        """Let every process see another mark than before."""
        self._words[0] = int.from_bytes(os.urandom(_SIZE), "little")

    def close(self) -> None:
        """Give the memory back. Using the mark afterwards is an error of the caller."""
        self._words.release()
        self._map.close()
