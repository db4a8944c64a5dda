"""Several worker processes on one port: starts them, replaces those that die, tells their metrics, ends them.

The system gives each new connection to one of the processes that listen (SO_REUSEPORT), so a connection's calls are
answered by one process. All share one journal, so that it does not matter which.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from select import select
from threading import Event

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import mark_process_dead

from rt_predictor_api import metrics
from rt_predictor_api.drift import DriftCollector, of_processes
from rt_predictor_api.front.front import front_of
from rt_predictor_api.metrics import Metrics
from rt_predictor_api.ports import address_of, claim
from rt_predictor_api.scrape import FOLDER_VARIABLE, expose, gather
from rt_predictor_api.security import listening
from rt_predictor_api.settings import Settings, environment, of_one_worker
from rt_predictor_api.worker import ALIVE_VARIABLE, PLACE_VARIABLE, READY, READY_VARIABLE, SOCKET_VARIABLE
from rt_predictor_formats.errors import Problem

LONGEST_WORD = 65_536
"""Most that a worker says in one piece when it begins [bytes]."""

LOOK_SECONDS = 0.1
"""How often the workers are looked at."""

SOUND_SECONDS = 60.0
"""A worker that lived for less than this, its start included, is replaced later each time."""

LONGEST_WAIT_SECONDS = 30.0
"""Longest wait before a worker that keeps dying is started again."""

MOST_CORES = 1_024
"""Of any machine: services that know nothing of each other begin at another of them, see ``affinity``."""

MERCY_SECONDS = 5.0
"""How much longer than the time to drain a worker may take to end before it is killed."""


class Supervisor:
    """The service as ``settings.workers`` processes; built stopped.

    Raises
    ------
    Problem
        ``PORT_IN_USE`` or ``ADDRESS_UNUSABLE`` for an address that cannot be listened on, ``INSECURE_LISTEN`` for one
        that must not be.
    """

    def __init__(self, settings: Settings) -> None:
        listening.check(settings)
        self._settings = settings
        self._log = structlog.get_logger()
        self._front = front_of(settings)
        self._held = None
        if self._front:
            self.port = self._front.port
        else:
            self._held = claim(settings.host, settings.port)
            self.port = address_of(self._held)[1]
        self._folder = Path(tempfile.mkdtemp(prefix="rt-predictor-metrics-"))
        self._metrics = Metrics(metrics.SUPERVISED, CollectorRegistry())
        gather(self._folder, self._processes, self._metrics.registry, self._refused)
        counted = partial(of_processes, self._folder)
        self._metrics.registry.register(DriftCollector(lambda: counted(self._processes())))
        try:
            self._scraped = expose(self._metrics.registry, settings)
        except BaseException:
            self._clean()
            raise
        first = secrets.randbelow(MOST_CORES)
        inner = self._front.workers if self._front else [None] * settings.workers
        self._slots = [_Slot(first + number, path) for number, path in enumerate(inner)]
        self._watched, self._watching = os.pipe()

    def run(self, stop: Event) -> None:
        """Serve until ``stop`` is set.

        Raises
        ------
        Problem
            What keeps the first worker from beginning; ``WORKER_DIED`` where it does not tell.
        """
        first, *others = self._slots
        try:
            # the first tells whether the settings and the model are good, and compiles for the others
            self._begin(first, stop)
            if self._front and not stop.is_set():
                self._front.start(lambda _: None, partial(self._metrics.count, metrics.WORKER_RESTARTS))
            for slot in others:
                slot.process = self._start(slot)
            port, scraped = self.port, self._scraped.server_port
            self._log.info(
                "listening", host=self._settings.host, port=port, metrics_port=scraped, workers=len(others) + 1
            )
            while not stop.wait(LOOK_SECONDS):
                self._replace()
        finally:
            self._end()

    def _begin(self, slot: _Slot, stop: Event) -> None:
        """Start the first worker and return when it listens, or when ``stop`` is set."""
        ready, writing = os.pipe()
        slot.process = self._start(slot, writing)
        os.close(writing)
        try:
            while not stop.is_set():
                if select([ready], [], [], LOOK_SECONDS)[0]:
                    _require_ready(os.read(ready, LONGEST_WORD))
                    return
        finally:
            os.close(ready)

    def _start(self, slot: _Slot, ready: int | None = None) -> subprocess.Popen[bytes]:
        slot.started = time.monotonic()
        with Path(os.devnull).open("wb") as nowhere:
            told = nowhere.fileno() if ready is None else ready
            variables = environment(of_one_worker(self._settings, self.port))
            variables |= {
                READY_VARIABLE: str(told),
                PLACE_VARIABLE: str(slot.place),
                ALIVE_VARIABLE: str(self._watched),
                FOLDER_VARIABLE: str(self._folder),
                SOCKET_VARIABLE: str(slot.inner or ""),
            }
            return subprocess.Popen(
                [sys.executable, "-m", "rt_predictor_api.worker"],
                env=os.environ | variables,
                pass_fds=(told, self._watched),
            )

    def _replace(self) -> None:
        """Start workers anew that have died: at once, or later each time where they do not live long."""
        now = time.monotonic()
        for slot in self._slots:
            if slot.process is not None and (status := slot.process.poll()) is not None:
                slot.failures = 0 if now - slot.started >= SOUND_SECONDS else slot.failures + 1
                slot.due = now + (min(2.0 ** (slot.failures - 1), LONGEST_WAIT_SECONDS) if slot.failures > 1 else 0.0)
                mark_process_dead(slot.process.pid, str(self._folder))  # type: ignore[no-untyped-call]
                self._log.error(
                    "worker died", worker=slot.process.pid, status=status, again_in=round(slot.due - now, 1)
                )
                slot.process = None
            if slot.process is None and now >= slot.due:
                slot.process = self._start(slot)
                self._metrics.count(metrics.WORKER_RESTARTS)
        self._metrics.set(metrics.WORKERS, to=len(self._processes()))

    def _refused(self) -> int:
        """Return how many calls were refused before the workers."""
        return self._front.refused if self._front else 0

    def _processes(self) -> list[int]:
        """Return the process ids of the workers that live."""
        return [slot.process.pid for slot in self._slots if slot.process is not None and slot.process.poll() is None]

    def _end(self) -> None:
        """Let all workers drain at once; kill what does not end."""
        if self._front:
            self._front.drain()
        living = [slot.process for slot in self._slots if slot.process is not None]
        for process in living:
            process.send_signal(signal.SIGTERM)
        end = time.monotonic() + self._settings.drain_seconds + MERCY_SECONDS
        for process in living:
            try:
                process.wait(max(end - time.monotonic(), 0.0))
            except subprocess.TimeoutExpired:
                self._log.error("worker killed", worker=process.pid)
                process.kill()
                process.wait()
        self._scraped.shutdown()
        self._scraped.server_close()
        self._clean()
        self._log.info("stopped")

    def _clean(self) -> None:
        if self._held:
            self._held.close()
        if self._front:
            self._front.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


@dataclass
class _Slot:
    """A worker's core and socket, its process, when it began, how often in a row it died early, when it begins anew."""

    place: int
    inner: Path | None
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    due: float = 0.0
    failures: int = 0


def _require_ready(word: bytes) -> None:
    """Do nothing where a worker says that it listens; raise the Problem that it tells otherwise."""
    if word == READY:
        return
    if word:
        problem = json.loads(word)
        raise Problem(problem.pop("code"), problem.pop("thing"), **problem)
    raise Problem("WORKER_DIED", "the first worker ended before it listened", remedy="see its last lines in the log")
