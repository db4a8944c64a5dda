"""The health of the services, asked once or watched (grpc.health.v1).

The servicer of grpcio-health-checking sends to watchers under the lock that the end of a watch needs too, so that a
watch that ends while the status changes stops the whole server (https://github.com/grpc/grpc/pull/43403). Here
nothing is sent under a lock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from queue import SimpleQueue
from threading import Lock
from typing import Any, Final, NamedTuple

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

Response: Any = health_pb2.HealthCheckResponse

SERVICE: Final[str] = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name

SHARE = 0.5
"""Part of the calls in progress that may be watches; beyond it the longest one gives way, whose client asks again."""


class _Watch(NamedTuple):
    service: str
    news: SimpleQueue[int | None]
    """Statuses to tell; None ends the watch."""


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # the package has no types
    """The servicer of grpc.health.v1. The statuses of services; NOT_SERVING, all of them, for good once it was ended.

    A watch keeps a thread of the server. Anyone may watch, so that their number is bounded.

    Parameters
    ----------
    calls: how many may be in progress.
    """

    def __init__(self, calls: int) -> None:
        self._most = max(1, int(calls * SHARE))
        self._lock = Lock()
        self._statuses: dict[str, int] = {}
        # in the order of their beginning, which is what a dictionary keeps
        self._watches: dict[Any, _Watch] = {}
        self._ended = False

    def tell(self, services: Iterable[str], status: int) -> None:
        """Set the status of services, known before or not."""
        with self._lock:
            if not self._ended:
                self._set(dict.fromkeys(services, status))

    def end(self) -> None:
        """Say NOT_SERVING of all, and end what watches them: a drain need not wait for those."""
        with self._lock:
            self._set(dict.fromkeys(self._statuses, Response.NOT_SERVING))
            self._ended = True
            for watch in self._watches.values():
                watch.news.put(None)

    def _set(self, statuses: dict[str, int]) -> None:
        self._statuses.update(statuses)
        for watch in self._watches.values():
            if watch.service in statuses:
                watch.news.put(statuses[watch.service])

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - the protocol's name
        """Return the status of a service; the empty name is the whole server."""
        status = self._statuses.get(request.service)
        if status is None:
            context.abort(grpc.StatusCode.NOT_FOUND, "no service of this name has a health")
        return Response(status=status)

    def Watch(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:  # noqa: N802 - as above
        """Yield the status of a service, and again whenever it is told."""
        watch = self._begin(request.service, context)
        try:
            if context.add_callback(lambda: watch.news.put(None)):
                while (status := watch.news.get()) is not None:
                    yield Response(status=status)
        finally:
            with self._lock:
                self._watches.pop(context, None)

    def _begin(self, service: str, context: Any) -> _Watch:
        watch = _Watch(service, SimpleQueue())
        with self._lock:
            watch.news.put(self._statuses.get(service, Response.SERVICE_UNKNOWN))
            if self._ended:
                watch.news.put(None)
            self._watches[context] = watch
            longest = list(islice(self._watches, max(0, len(self._watches) - self._most)))
            for given_way in longest:
                del self._watches[given_way]
        for given_way in longest:
            given_way.cancel()
        return watch
