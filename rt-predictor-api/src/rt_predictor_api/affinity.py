"""Which cores threads run on.

Python runs one thread of a process at a time. Where its threads are on several cores, each that lets go of the
interpreter for a moment loses it to another core and has to wait for its return: with eight callers at a time, a call
took 2.5 times the processor time that it takes on one core. So all that answers calls keeps to one core, and only long
work of compiled code, which needs no interpreter, leaves it. Beazley, "Understanding the Python GIL", PyCon 2010.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress

_KNOWN = hasattr(os, "sched_setaffinity")  # Linux has it, macOS has not


class Cores:
    """The cores of this process, and the one that its calls are answered on.

    Parameters
    ----------
    kept: whether there is such a one.
    place: of this process among those that share a port, so that each has a core of its own while there are enough.
    """

    def __init__(self, *, kept: bool, place: int | None = None) -> None:
        self._all: AbstractSet[int] = os.sched_getaffinity(0) if _KNOWN else frozenset()
        self.one: int | None = None
        """The core; None where there is no choice."""
        if kept and len(self._all) > 1:
            # any of them: services that know nothing of each other shall not all take the first
            chosen = secrets.randbelow(len(self._all)) if place is None else place % len(self._all)
            self.one = sorted(self._all)[chosen]

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """Keep this thread, and all threads that it starts meanwhile, to the one core."""
        with self._on(self._all if self.one is None else {self.one}):
            yield

    @contextmanager
    def leaving(self) -> Iterator[None]:
        """Let this thread run on any core: for long work without the interpreter."""
        with self._on(self._all):
            yield

    @contextmanager
    def _on(self, cores: AbstractSet[int]) -> Iterator[None]:
        if self.one is None:
            yield
            return
        before = os.sched_getaffinity(0)
        _put(cores)
        try:
            yield
        finally:
            _put(before)


def _put(cores: AbstractSet[int]) -> None:
    # a system that takes cores away meanwhile has decided where the thread runs
    with suppress(OSError):
        os.sched_setaffinity(0, cores)
