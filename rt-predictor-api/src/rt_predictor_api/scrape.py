"""What a scrape answers: the metrics of one process, or of several as one."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Metric, ProcessCollector, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from rt_predictor_api.metrics import CALLS_REFUSED
from rt_predictor_api.ports import unusable
from rt_predictor_api.settings import Settings

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Where the Prometheus library lets a process write its metrics for others to read, if this is set."""


def expose(registry: CollectorRegistry, settings: Settings) -> Any:
    """Serve metrics in a thread of their own and return the server.

    Raises
    ------
    Problem
        ``PORT_IN_USE`` or ``ADDRESS_UNUSABLE``.
    """
    host = settings.metrics_host or settings.host
    cert, key = (str(path) if path else None for path in (settings.tls_cert, settings.tls_key))
    try:
        server, _ = start_http_server(settings.metrics_port, host, registry, cert, key)
    except OSError:
        raise unusable(host, settings.metrics_port, "metrics_port") from None
    if cert and key:
        _renew(server, cert, key)
    return server


def _renew(server: Any, cert: str, key: str) -> None:
    """Let each new connection meet the newest certificate that fits its key, and none keep the others waiting."""
    # else the handshake of a silent client holds up the thread that accepts
    server.socket.do_handshake_on_connect = False
    accept = server.get_request

    def renewed() -> Any:
        with suppress(OSError):  # half of a new pair: the one that fits stays
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password="")
            server.socket.context.load_cert_chain(cert, key, password="")
        return accept()

    server.get_request = renewed


def gather(
    folder: Path,
    processes: Callable[[], Iterable[int]],
    registry: CollectorRegistry,
    refused: Callable[[], int] = lambda: 0,
) -> None:
    """Let a registry tell the metrics that processes write to ``folder``, and their use of the machine, added up.

    ``refused`` returns how many calls were refused before any of the processes; they count as overload.
    """
    registry.register(_Files(folder, refused))
    registry.register(_Processes(processes))


class _Files(Collector):
    """What processes write to a folder; the library's own collector fails at a file that was only just begun."""

    def __init__(self, folder: Path, refused: Callable[[], int]) -> None:
        self._folder = folder
        self._refused = refused

    def collect(self) -> Iterable[Metric]:
        """Return the metrics of all files that hold any."""
        files = [str(file) for file in self._folder.glob("*.db") if _begun(file)]
        merged: list[Metric] = list(MultiProcessCollector.merge(files))  # type: ignore[no-untyped-call]
        for metric in merged:
            metric.samples = [self._with_refused(sample) for sample in metric.samples]
        return merged

    def _with_refused(self, sample: Any) -> Any:
        if (sample.name, sample.labels.get("reason")) != (CALLS_REFUSED.name, "overloaded"):
            return sample
        return sample._replace(value=sample.value + self._refused())


def _begun(file: Path) -> bool:
    # what a dead process wrote may go at any time
    with suppress(FileNotFoundError):
        return file.stat().st_size > 0
    return False


class _Processes(Collector):
    """``process_*`` of several processes, as one would tell them of itself: summed, the start time of the oldest."""

    def __init__(self, processes: Callable[[], Iterable[int]]) -> None:
        self._processes = processes

    def collect(self) -> Iterator[Metric]:
        """Yield each metric with the sum of its samples."""
        gathered: dict[str, Metric] = {}
        for process in self._processes():
            one = ProcessCollector(pid=lambda process=process: process, registry=None)  # type: ignore[misc]
            for metric in one.collect():
                known = gathered.setdefault(metric.name, metric)
                if known is not metric:
                    known.samples = [_joined(*pair) for pair in zip(known.samples, metric.samples, strict=True)]
        yield from gathered.values()


def _joined(one: Any, other: Any) -> Any:
    join = min if one.name.endswith("start_time_seconds") else sum
    return one._replace(value=join((one.value, other.value)))
