"""The service's address where nginx answers at it: begins once there are workers, ends after their calls."""

from __future__ import annotations

import select
import shutil
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING

import structlog

from rt_predictor_api.front import configuration, nginx
from rt_predictor_api.front.crowd import Crowd
from rt_predictor_api.front.folder import Folder
from rt_predictor_api.front.nginx import Nginx
from rt_predictor_api.ports import address_of, claim
from rt_predictor_api.settings import Settings, variable
from rt_predictor_formats.errors import Problem

if TYPE_CHECKING:
    from rt_predictor_api.security.certificates import Certificate
    from rt_predictor_api.security.kept import Kept

READY_SECONDS = 10.0
"""Longest wait for nginx to begin [s]."""

LOOK_SECONDS = 0.1
"""How often is looked whether something has changed [s]."""

SOUND_SECONDS = 60.0
"""nginx that lived for less than this is replaced later each time [s]."""

LONGEST_WAIT_SECONDS = 30.0
"""Longest wait before another one is started in place of one that died [s]."""

LEAVE_SECONDS = 0.2
"""How long clients are given to read that they shall leave, before the workers end [s]."""

MERCY_SECONDS = 2.0
"""How long it may take to end before it is killed [s]."""


class Front:
    """The address, and nginx between it and the workers; built stopped.

    Attributes
    ----------
    port: that clients connect to.
    workers: the socket that each worker is to listen on.

    Raises
    ------
    Problem
        ``PORT_IN_USE`` or ``ADDRESS_UNUSABLE``; ``CERTIFICATE_INVALID`` or ``FILE_UNREADABLE``.
    """

    def __init__(self, program: str, settings: Settings) -> None:
        self._log = structlog.get_logger()
        self._program = program
        self._settings = settings
        self._certificate = _certificate(settings)
        self._claimed = claim(settings.host, settings.port)
        self._address = address_of(self._claimed)
        self.port = self._address[1]
        # a short name: the path of a socket ends after 107 characters
        path = Path(tempfile.mkdtemp(prefix="rtp-"))
        self.workers = tuple(path / f"worker-{number}" for number in range(settings.workers))
        self._folder = Folder(path, self.workers)
        self._crowd = Crowd(self._folder)
        self._nginx: Nginx | None = None
        self._failed = False
        self._on_restart: Callable[[], object] = lambda: None
        self._begun = Event()
        self._ending = Event()
        self._thread = Thread(target=self._run, name="front", daemon=True)

    @property
    def refused(self) -> int:
        """How many calls nginx has refused, estimated."""
        return self._crowd.refused

    def start(self, on_refused: Callable[[int], object], on_restart: Callable[[], object]) -> None:
        """Let clients connect.

        Parameters
        ----------
        on_refused: called with a number of calls that nginx has refused, estimated.
        on_restart: called when another nginx is started in place of one that died.

        Raises
        ------
        Problem
            ``NGINX_DIED`` with nginx's last words where it does not begin.
        """
        self._on_restart = on_restart
        self._crowd.on_refused = on_refused
        configuration.write(self._folder, self._settings, self._address)
        self._thread.start()
        self._begun.wait()
        if self._failed:
            said = self._nginx.last_words() if self._nginx else ""
            remedy = f"mend that, or do without: {variable('nginx')}=false"
            raise Problem(
                "NGINX_DIED", f"nginx does not begin: {said or 'no word'}", place=self._program, remedy=remedy
            )

    def drain(self) -> None:
        """Take no more connections, and tell clients to leave; calls in progress go on."""
        if not self._ending.is_set():
            self._ending.set()
            self._end(signal.SIGQUIT, LEAVE_SECONDS)

    def stop(self) -> None:
        """End nginx, with what is still in progress a while after the workers have ended; may be called again."""
        self._ending.set()
        # the workers' last answers may be on their way through it
        self._end(signal.SIGQUIT, MERCY_SECONDS)
        self._end(signal.SIGTERM, MERCY_SECONDS)
        self._end(signal.SIGKILL, MERCY_SECONDS)
        self._crowd.close()
        self._claimed.close()
        shutil.rmtree(self._folder.path, ignore_errors=True)

    def _run(self) -> None:
        # the system ends nginx with the thread that has started it: it is this one each time
        failures = 0
        while not self._ending.is_set():
            began = monotonic()
            self._nginx = Nginx(self._program, self._folder)
            if self._nginx.begins(self._address, READY_SECONDS):
                self._begun.set()
                self._watch(self._nginx)
            self._nginx.wait()
            if not self._begun.is_set():
                break
            if not self._ending.is_set():
                self._on_restart()
                self._log.error("nginx died", status=self._nginx.status, said=self._nginx.last_words())
                failures = 0 if monotonic() - began >= SOUND_SECONDS else failures + 1
                self._ending.wait(min(2.0 ** (failures - 1), LONGEST_WAIT_SECONDS) if failures > 1 else 0.0)
        self._failed = not self._begun.is_set()
        self._begun.set()

    def _watch(self, running: Nginx) -> None:
        """Return when it has ended."""
        met = self._certificate and self._certificate.value
        looked = monotonic()
        awaited = select.poll()
        for descriptor in (running.fileno(), self._crowd.fileno()):
            awaited.register(descriptor, select.POLLIN)
        while running.status is None:
            awaited.poll(1_000 * LOOK_SECONDS)
            self._crowd.look()
            if self._certificate and monotonic() - looked >= self._settings.watch_interval_seconds:
                looked = monotonic()
                self._certificate.look()
                if self._certificate.value != met:
                    met = self._certificate.value
                    # it reads the files anew, and keeps what it had where they do not fit
                    running.signal(signal.SIGHUP)

    def _end(self, number: signal.Signals, seconds: float) -> None:
        if self._thread.is_alive() and self._nginx:
            self._nginx.signal(number)
            self._thread.join(seconds)


def _certificate(settings: Settings) -> Kept[Certificate] | None:
    """Return what nginx shows to clients; the workers tell of its changes."""
    if settings.tls_cert is None:
        return None
    # with gRPC, which stays out of a process that only looks after others
    from rt_predictor_api.security import certificates

    return certificates.kept(settings, None)


def front_of(settings: Settings) -> Front | None:
    """Return what stands before a service; None where the settings want none.

    Raises
    ------
    Problem
        As ``Front``; ``SETTING_INVALID`` together with certificates of clients, which the workers must see themselves;
        ``NGINX_MISSING``.
    """
    if not settings.nginx:
        return None
    if settings.tls_client_ca is not None:
        raise Problem(
            "SETTING_INVALID",
            f"does not go together with {variable('tls_client_ca')}: certificates of clients would end at nginx",
            place=variable("nginx"),
            remedy="set one of them",
        )
    program = nginx.program()
    if program is None:
        raise Problem(
            "NGINX_MISSING",
            "nginx was not found, or this is not Linux",
            place=variable("nginx"),
            remedy=f"install nginx (Debian, Ubuntu: nginx-light; Fedora, Rocky: nginx), or {variable('nginx')}=false",
        )
    return Front(program, settings)
