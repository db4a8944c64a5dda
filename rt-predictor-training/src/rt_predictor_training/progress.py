"""Progress: how far a command is, how fast, and how long it will still take; on stderr."""

from __future__ import annotations

import time
from typing import Protocol, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import (
    Progress as RichProgress,
)
from rich.text import Text

SILENT_SECONDS = 10.0
"""A stage that takes less says nothing in between."""

TELLINGS = 10
"""Into how many parts a long stage is cut, each of whose ends is told where there is no terminal."""


class Progress(Protocol):
    """Where a command says how far it is."""

    def stage(self, name: str, total: int, unit: str = "") -> None:
        """Begin a stage of ``total`` steps, each a ``unit``: jobs, bytes."""
        ...

    def advance(self, done: int, total: int | None = None) -> None:
        """Say how many steps of the stage are done, and how many there are where that became known only now."""
        ...

    def finish(self) -> None:
        """End the stage: all its steps are done."""
        ...


class Bars:
    """Progress bars on a terminal; elsewhere one line per stage, and one per tenth of a long one."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._progress = RichProgress(
            TextColumn("{task.description:>10}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task: TaskID | None = None
        self._stage, self._unit, self._total, self._begin, self._told = "", "", 1, 0.0, 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def stage(self, name: str, total: int, unit: str = "") -> None:
        """See ``Progress``."""
        if not self._console.is_terminal:
            self._console.print(f"{name} ...")
        self._stage, self._unit, self._total, self._begin, self._told = name, unit, total, time.monotonic(), 0
        self._task = self._progress.add_task(name, total=total, unit=unit)

    def advance(self, done: int, total: int | None = None) -> None:
        """See ``Progress``."""
        self._total = total or self._total
        if self._task is not None:
            self._progress.update(self._task, completed=done, total=self._total)
        if not self._console.is_terminal:
            self._tell(done)

    def finish(self) -> None:
        """See ``Progress``."""
        self.advance(self._total)

    def _tell(self, done: int) -> None:
        """Say how fast it goes and how long a stage will still take, each time that one more part of it is done."""
        took, part = time.monotonic() - self._begin, TELLINGS * done // max(self._total, 1)
        if took >= SILENT_SECONDS and self._told < part < TELLINGS:
            self._told = part
            left = took / done * (self._total - done)
            rate = f", {done / took:,.0f} {self._unit}/s" if self._unit else ""
            self._console.print(f"{self._stage} {done:,}/{self._total:,}{rate}, about {left / 60:.1f} min left")


class _Rate(ProgressColumn):
    """Steps per second, where a step has a name."""

    def render(self, task: Task) -> Text:
        speed, unit = task.finished_speed or task.speed, task.fields["unit"]
        return Text(f"{speed:,.0f} {unit}/s" if speed and unit else "", style="progress.data.speed")
