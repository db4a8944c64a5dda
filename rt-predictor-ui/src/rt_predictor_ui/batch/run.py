"""One run over a file, on a thread of its own: it goes on while pages are drawn, and waits for an absent service."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from threading import Event, Lock, Thread
from time import monotonic
from typing import Final

from rt_predictor_client import Client, TooMuch
from rt_predictor_client.columns import Meanings
from rt_predictor_formats.errors import Problem
from rt_predictor_ui import backend
from rt_predictor_ui.batch.blocks import Blocks
from rt_predictor_ui.batch.results import Results
from rt_predictor_ui.batch.upload import Upload

PAUSE_SECONDS: Final = 2.0
"""How long a run waits before it asks a service again that was away [s]."""

PATIENCE_SECONDS: Final = 1800.0
"""How long a run waits for a service that stays away [s]."""

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes
    ----------
    state: ``running``, ``waiting`` for the service, ``done``, ``cancelled`` or ``failed``.
    rate: rows per second since the run began.
    problem: why it waits or failed; None otherwise.
    """

    state: str
    rows: int
    total: int
    errors: int
    seconds: float
    rate: float
    problem: Problem | None

    @property
    def going(self) -> bool:
        """Whether there is more to come."""
        return self.state in {"running", "waiting"}

    @property
    def left_seconds(self) -> float | None:
        """How long the rest takes at this rate [s]; None as long as that cannot be known."""
        return (self.total - self.rows) / self.rate if self.rate and self.state == "running" else None


class Run:
    """The forecasts of all rows of a file at one accepted risk."""

    def __init__(
        self, upload: Upload, by: Meanings, risk: float, connect: Callable[[], Client] = backend.new_client
    ) -> None:
        self.upload = upload
        self.risk = risk
        self.results = Results(upload.header)
        self._by = by
        self._connect = connect
        self._client: Client | None = None
        self._lock = Lock()
        self._stopped = Event()
        self._state = "running"
        self._problem: Problem | None = None
        self._begin = monotonic()
        self._end: float | None = None
        self._thread = Thread(target=self._work, name="batch", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def cancel(self) -> None:
        """Stop; what has been answered stays. The call under way is broken off."""
        with self._lock:
            if self._end is None:
                self._state, self._problem, self._end = "cancelled", None, monotonic()
                self.results.close()
            self._stopped.set()
            if self._client is not None:
                self._client.close()

    def progress(self) -> Progress:
        """Return how far it is."""
        with self._lock:
            seconds = (self._end or monotonic()) - self._begin
            rows, errors = self.results.rows, self.results.errors
            rate = rows / seconds if seconds > 0 else 0.0
            return Progress(self._state, rows, self.upload.rows, errors, seconds, rate, self._problem)

    def _work(self) -> None:
        try:
            self._until_done()
            self._finish("done", None)
        except Problem as problem:
            self._finish("failed", problem)
        except Exception as error:  # noqa: BLE001 - a thread's exception would be seen by nobody
            if self._stopped.is_set():
                return  # the call was broken off
            _LOG.exception("a batch failed")
            remedy = "look into the log of the pages"
            self._finish("failed", Problem("UNEXPECTED", type(error).__name__, remedy=remedy))

    def _until_done(self) -> None:
        last = monotonic()
        while not self._stopped.is_set():
            before = self.results.rows
            try:
                self._stream()
            except backend.Away as problem:
                last = monotonic() if self.results.rows > before else last
                if monotonic() - last > PATIENCE_SECONDS:
                    raise
                self._wait(problem, PAUSE_SECONDS)
            except TooMuch as problem:
                if problem.retry_after is None:
                    raise
                self._wait(problem, max(problem.retry_after, PAUSE_SECONDS))
            else:
                return

    def _stream(self) -> None:
        """Ask for all rows that have no result yet."""
        with self._connect() as client, self.upload.opened() as rows:
            with self._lock:
                self._client = client
            if self._stopped.is_set():
                return
            blocks = Blocks(islice(rows, self.results.rows, None), self._by)
            with backend.failures():
                for block, results in blocks.answered(client.predict_arrow_many(blocks.payloads(), self.risk)):
                    if self._stopped.is_set():
                        return
                    self._set("running", None)
                    self.results.add(block.rows, results)

    def _wait(self, problem: Problem, seconds: float) -> None:
        self._set("waiting", problem)
        self._stopped.wait(seconds)

    def _set(self, state: str, problem: Problem | None) -> None:
        if self._state == state:
            return
        with self._lock:
            if self._end is None:
                self._state, self._problem = state, problem

    def _finish(self, state: str, problem: Problem | None) -> None:
        with self._lock:
            if self._end is None:
                self.results.close()
                self._state, self._problem, self._end = state, problem, monotonic()
