"""One of several processes that answer on one port; started by ``supervisor``, never by hand."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from threading import Event, Thread

import structlog

from rt_predictor_api import main
from rt_predictor_formats.errors import Problem

READY_VARIABLE = "RT_PREDICTOR_WORKER_READY"
"""File descriptor that a worker writes to when it listens, or why it cannot: the fields of a Problem as JSON."""

READY = b"ready"
"""What it writes when it listens."""

ALIVE_VARIABLE = "RT_PREDICTOR_WORKER_ALIVE"
"""File descriptor that ends when the supervisor does, however that comes about."""


PLACE_VARIABLE = "RT_PREDICTOR_WORKER_PLACE"
"""Which of the workers it is, from a number that the supervisor has drawn on."""


SOCKET_VARIABLE = "RT_PREDICTOR_WORKER_SOCKET"
"""Socket that a worker listens on; empty where it shares the port itself."""


def work() -> None:
    """Serve until a signal comes or the supervisor is gone."""
    told = (READY_VARIABLE, ALIVE_VARIABLE, PLACE_VARIABLE)
    ready, alive, place = (int(os.environ.pop(name)) for name in told)
    inner = os.environ.pop(SOCKET_VARIABLE)
    Thread(target=_outlive_nobody, args=(alive,), name="supervisor", daemon=True).start()

    def run(stop: Event) -> None:
        from rt_predictor_api import logs, settings
        from rt_predictor_api.server import Service

        chosen = settings.read({})
        logs.configure(chosen.log_level, worker=os.getpid())

        def listening() -> None:
            os.write(ready, READY)
            main.settle()

        try:
            Service(chosen, shared=True, place=place, inner=Path(inner) if inner else None).run(stop, listening)
        except Problem as problem:
            structlog.get_logger().error("worker cannot go on", problem=str(problem))
            os.write(ready, json.dumps(vars(problem)).encode())
            sys.exit(1)

    main.guarded(run)


def _outlive_nobody(alive: int) -> None:
    os.read(alive, 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    work()
