"""How far what is asked has come from what the model was trained on: counted aside, told at a scrape.

A call does no more than copy its rows of features into a ring. A thread counts them into the bins of the model's
reference, by the hour, and forgets what is older than a week. Counts of several processes are added up before anything
is computed from them, as the index of a sum is no sum of indices; each writes its own to the folder of their metrics.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final
from zipfile import BadZipFile

import numpy as np
import structlog
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from rt_predictor_api.metrics import FEATURE_DRIFT
from rt_predictor_api.periodic import Periodic
from rt_predictor_core.artifact.load import Artifact
from rt_predictor_core.features.table import NAMES, used_columns
from rt_predictor_core.models.drift import followed, population_stability
from rt_predictor_core.models.reference import BINS, Reference, counts

KEPT_ROWS: Final = 4_096
"""Rows that wait to be counted; of more between two looks, those before the newest go uncounted."""

LOOK_SECONDS: Final = 10.0
"""How often they are counted."""

WINDOW_HOURS: Final = 7 * 24
"""How long they count: a whole week, as days of the week differ."""

_HOUR = 3600


@dataclass(frozen=True)
class Counted:
    """Rows of the last week by bin.

    Attributes
    ----------
    version: of the model whose reference they are compared with. columns: int64[f], features that are followed.
    shares: float64[f, bins], of the reference. counts: int64[f, bins].
    """

    version: str
    columns: np.ndarray
    shares: np.ndarray
    counts: np.ndarray

    def save(self, path: Path) -> None:
        """Write it to a file, whole or not at all. Raises OSError."""
        aside = path.with_suffix(".unfinished")
        with aside.open("wb") as file:
            np.savez(file, version=self.version, columns=self.columns, shares=self.shares, counts=self.counts)
        aside.replace(path)

    @classmethod
    def load(cls, path: Path) -> Counted | None:
        """Return what a file holds, None where there is none."""
        with suppress(OSError, ValueError, KeyError, EOFError, BadZipFile), np.load(path, allow_pickle=False) as held:
            return cls(str(held["version"]), held["columns"], held["shares"], held["counts"])
        return None


class Drift:
    """Takes the rows that are served and counts them; safe for several threads.

    Parameters
    ----------
    folder: where other processes find what this one has counted; None where there are none.
    clock: seconds since 1970.
    """

    def __init__(self, folder: Path | None, clock: Callable[[], float] = time.time) -> None:
        self._path = folder and file_of(folder, os.getpid())
        self._clock = clock
        self._rows = np.empty((KEPT_ROWS, len(NAMES)), np.float32)
        self._added, self._taken = 0, 0
        self._window: _Window | None = None
        self._adding, self._looking = Lock(), Lock()
        self._looks = Periodic(self.look, LOOK_SECONDS, name="drift", failed="drift not counted")
        self._log = structlog.get_logger()

    def add(self, table: np.ndarray) -> None:
        """Take rows that are served, float32[n, features]."""
        if len(table) == 1:
            with self._adding:
                self._rows[self._added % KEPT_ROWS] = table[0]
                self._added += 1
            return
        rows = table[-KEPT_ROWS:]
        with self._adding:
            first = self._added % KEPT_ROWS
            self._added += len(rows)
            before = min(len(rows), KEPT_ROWS - first)
            self._rows[first : first + before] = rows[:before]
            self._rows[: len(rows) - before] = rows[before:]

    def follow(self, artifact: Artifact) -> None:
        """Begin anew with the reference of a model; without one nothing is counted."""
        window = None if artifact.reference is None else _Window(artifact, artifact.reference)
        with self._looking:
            self._take()
            self._window = window
            self._tell()

    def look(self) -> None:
        """Count what was added since the last look, and forget what is too old."""
        with self._looking:
            rows = self._take()
            if self._window is not None:
                self._window.count(rows, int(self._clock()) // _HOUR)
            self._tell()

    def counted(self) -> Counted | None:
        """Return what was counted up to the last look; None where the model has no reference."""
        return None if self._window is None else self._window.counted

    def start(self) -> None:
        """Begin to look."""
        self._looks.start()

    def stop(self) -> None:
        """End the looking."""
        self._looks.stop()

    def _take(self) -> np.ndarray:
        with self._adding:
            newest = np.arange(max(self._taken, self._added - KEPT_ROWS), self._added) % KEPT_ROWS
            self._taken = self._added
            return np.asarray(self._rows[newest])

    def _tell(self) -> None:
        """Write what was counted for other processes to find."""
        counted = self.counted()
        if self._path is None:
            return
        try:
            if counted is None:
                self._path.unlink(missing_ok=True)
            else:
                counted.save(self._path)
        except OSError as error:  # calls are answered all the same
            self._log.warning("drift not told", path=str(self._path), problem=str(error))


class _Window:
    """Rows by bin and hour, of a model."""

    def __init__(self, artifact: Artifact, reference: Reference) -> None:
        self._columns = np.array(followed(used_columns(queued=artifact.manifest.queued)))
        self._edges = reference.edges[self._columns]
        self._hours: deque[tuple[int, np.ndarray]] = deque()
        zeros = np.zeros((len(self._columns), BINS + 1), np.int64)
        self.counted = Counted(artifact.manifest.version, self._columns, reference.shares[self._columns], zeros)

    def count(self, rows: np.ndarray, hour: int) -> None:
        """Add rows of an hour, and take away the hours that are out of the window."""
        new = counts(rows[:, self._columns], self._edges)
        if self._hours and self._hours[-1][0] == hour:
            new = self._hours.pop()[1] + new
        self._hours.append((hour, new))
        while self._hours[0][0] <= hour - WINDOW_HOURS:
            self._hours.popleft()
        one = self.counted
        total = np.sum([each for _, each in self._hours], axis=0)
        self.counted = Counted(one.version, one.columns, one.shares, total)


class DriftCollector(Collector):
    """Tells the drift of each feature from what processes have counted; ``parts`` returns those."""

    def __init__(self, parts: Callable[[], Iterable[Counted | None]]) -> None:
        self._parts = parts

    def collect(self) -> Iterator[Metric]:
        """Yield the metric, with those features of which there are enough rows."""
        family = GaugeMetricFamily(FEATURE_DRIFT.name, FEATURE_DRIFT.help, labels=FEATURE_DRIFT.labels)
        whole = joined(self._parts())
        if whole is not None:
            index = population_stability(whole.shares, whole.counts)
            for column, value in zip(whole.columns.tolist(), index.tolist(), strict=True):
                if not np.isnan(value):
                    family.add_metric([NAMES[column]], value)
        yield family


def joined(parts: Iterable[Counted | None]) -> Counted | None:
    """Return the counts of several processes as one; of those that are a model behind, nothing."""
    told = [part for part in parts if part is not None]
    if not told:
        return None
    newest = max(told, key=lambda part: part.version)
    same = [part.counts for part in told if part.version == newest.version]
    return Counted(newest.version, newest.columns, newest.shares, np.sum(same, axis=0))


def of_processes(folder: Path, processes: Iterable[int]) -> Iterator[Counted | None]:
    """Yield what processes have written to a folder."""
    return (Counted.load(file_of(folder, process)) for process in processes)


def file_of(folder: Path, process: int) -> Path:
    """Return the file that a process writes to."""
    return folder / f"drift-{process}.npz"
