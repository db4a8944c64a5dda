"""The workers that fit: who is there, whether they fit to us, what they hold, and what to do when one is lost."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Self

from distributed import Client, Scheduler

from rt_predictor_formats.errors import Problem
from rt_predictor_training.cluster.fits import Dealt
from rt_predictor_training.cluster.start import unreachable
from rt_predictor_training.cluster.versions import require_same
from rt_predictor_training.members.member import Fold

POLL_SECONDS: Final = 0.25
"""How often workers and rounds are looked at."""

RESTART_SECONDS: Final = 60.0
"""How long a worker's process may take to start anew."""


class Lost(Exception):
    """A worker that took part is gone; the text says which and why that is known."""


@dataclass(frozen=True)
class Hand:
    """A worker: the process that answers at an address, as one started anew may answer at the same one."""

    process: str
    threads: int
    nanny: bool


class Crew:
    """The workers of a cluster that take part.

    ``connect`` makes a client or raises Problem CLUSTER_UNREACHABLE; ``workers`` are waited for at most ``wait``
    seconds. ``notes`` are for a person to read.
    """

    def __init__(self, connect: Callable[[], Client], workers: int, wait: float) -> None:
        self._connect, self._workers, self._wait = connect, workers, wait
        self.notes: list[str] = []
        self._hands: dict[str, Hand] = {}
        self._fold: Fold | None = None
        self._dealt: Dealt | None = None
        self._unfit: set[str] = set()
        self.client = connect()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def assemble(self) -> None:
        """Take all workers that are there, once as many came as are wanted, or the time is over.

        Raises Problem CLUSTER_EMPTY when none came, CLUSTER_VERSIONS when one has other versions of the libraries.
        """
        require_same(self.client)
        came = self._until(lambda: len(self._present()) >= self._workers, self._wait)
        self._take()
        if not came:
            self.notes.append(f"{len(self._hands)} of {self._workers} workers came within {self._wait:g} s")

    def deal(self, fold: Fold) -> Dealt:
        """Return a fold on the workers; it is sent once, until another one is asked for or a worker was lost."""
        if self._dealt is None or self._fold is not fold:
            self._dealt = None
            self._take()
            self._dealt = Dealt.of(self.client, fold, {name: hand.threads for name, hand in self._hands.items()})
            self._fold = fold
        return self._dealt

    def check(self) -> None:
        """Raise Lost unless all workers that take part are there."""
        present = self._present()
        gone = [name for name, hand in self._hands.items() if present.get(name) != hand]
        if gone:
            raise Lost(f"{', '.join(gone)} {'was' if len(gone) == 1 else 'were'} lost")

    def renew(self) -> None:
        """Give up what the workers do and hold, and take those that are left, in new processes.

        Raises Problem CLUSTER_EMPTY when none is left, or comes within the time to wait.
        """
        self._dealt = self._fold = None
        # without its client nobody waits for a training call any more
        self._close()
        self.client = self._connect()
        self._start_anew()
        self._until(lambda: bool(self._present()), self._wait)
        self._take()

    def _close(self) -> None:
        with suppress(OSError):
            self.client.close()

    def _present(self) -> dict[str, Hand]:
        try:
            workers = self.client.run_on_scheduler(_running)
        except (OSError, RuntimeError) as error:
            raise unreachable("the scheduler") from error
        hands = {address: Hand(*facts) for address, facts in workers.items()}
        return {address: hand for address, hand in hands.items() if hand.process not in self._unfit}

    def _take(self) -> None:
        self._hands = self._present()
        if not self._hands:
            raise Problem(
                "CLUSTER_EMPTY",
                f"no worker is there after {self._wait:g} s",
                place="--cluster",
                remedy="look at the workers' logs, start some, or wait longer with --cluster-wait",
            )
        require_same(self.client)

    def _until(self, holds: Callable[[], bool], seconds: float) -> bool:
        end = time.monotonic() + seconds
        while not holds():
            if time.monotonic() >= end:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def _start_anew(self) -> None:
        """Give the workers that took part new processes.

        In an old one a training call may wait for the lost worker for ever, and LightGBM keeps broken connections.
        """
        present = self._present()
        left = {name: hand for name, hand in self._hands.items() if present.get(name) == hand}
        # one without a nanny does not come again, and is left as it is
        self._unfit |= {hand.process for hand in left.values()}
        ending = [name for name, hand in left.items() if hand.nanny]
        # asked to stop, it would first wait for the training call
        self.client.run(_end, workers=ending, on_error="ignore")
        self._until(lambda: len(self._present()) >= len(ending), RESTART_SECONDS)


def _end() -> None:
    os._exit(1)


def _running(dask_scheduler: Scheduler) -> dict[str, tuple[str, int, bool]]:
    """Return the fields of ``Hand`` by address; a worker over its limit of memory is paused, and would never begin."""
    return {
        address: (worker.server_id, worker.nthreads, bool(worker.nanny))
        for address, worker in dask_scheduler.workers.items()
        if worker.status.name == "running"
    }
