"""Stages: what training does one after another, how long each took, and what an interrupted run had finished."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from typing import TypeVar

import numpy as np

from rt_predictor_formats.errors import Problem
from rt_predictor_training.progress import Progress
from rt_predictor_training.shelf import Shelf

T = TypeVar("T")


class Stages:
    """The stages of one run.

    Attributes
    ----------
    seconds: duration of each stage that was run. resumed: what was taken from an interrupted run instead.
    notes: what a person should know.
    """

    def __init__(self, progress: Progress, shelf: Shelf | None = None) -> None:
        self.progress = progress
        self.seconds: dict[str, float] = {}
        self.resumed: list[str] = []
        self.notes: list[str] = []
        self._shelf, self._full = shelf, False

    @contextmanager
    def __call__(self, name: str, total: int = 1, unit: str = "") -> Iterator[Callable[[], None]]:
        """Time a stage of ``total`` steps, and give what is to be called after each of them."""
        self.progress.stage(name, total, unit)
        begin = time.monotonic()
        done = count(1)
        yield lambda: self.progress.advance(next(done))
        self.seconds[name] = round(time.monotonic() - begin, 3)
        self.progress.finish()

    def kept(
        self,
        name: str,
        key: str,
        make: Callable[[], T],
        pack: Callable[[T], Mapping[str, np.ndarray]],
        unpack: Callable[[Mapping[str, np.ndarray]], T],
    ) -> T:
        """Return what an interrupted run made of inputs with the same ``key``, or make it now and keep it."""
        arrays = self._shelf.load(f"{name}-{key}") if self._shelf else None
        if arrays is not None:
            try:
                found = unpack(arrays)
            except (KeyError, TypeError, ValueError):
                pass  # of an earlier release: made again
            else:
                self.resumed.append(name)
                return found
        made = make()
        self._keep(f"{name}-{key}", pack(made))
        return made

    def begins(self, name: str, key: str) -> None:
        """Remove what runs with other inputs had finished, unless this stage of this run was kept."""
        if self._shelf and not self._shelf.has(f"{name}-{key}"):
            self._shelf.clear()

    def forget(self, name: str, key: str) -> None:
        """Remove what was kept of one stage."""
        if self._shelf:
            self._shelf.remove(f"{name}-{key}")

    def clear(self) -> None:
        """Remove everything that was kept."""
        if self._shelf:
            self._shelf.clear()

    def _keep(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep finished work, if there is room: a run that cannot be resumed is better than none."""
        if self._shelf is None or self._full:
            return
        try:
            self._shelf.save(name, arrays)
        except Problem as problem:
            self.notes.append(f"{problem.thing} ({problem.place}): an interrupted run would begin anew")
            self._full = True
