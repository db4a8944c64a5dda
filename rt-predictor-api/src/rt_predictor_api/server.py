"""Wiring: builds the parts of the service in order, starts them, and takes them down again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import grpc
import structlog
from grpc_health.v1 import health_pb2_grpc

from open_inference import inference_pb2_grpc
from rt_predictor_api import arrow, metrics
from rt_predictor_api.admission import Admission
from rt_predictor_api.affinity import Cores
from rt_predictor_api.cache import ForecastCache
from rt_predictor_api.catalogue import Catalogue
from rt_predictor_api.describing import describe
from rt_predictor_api.drift import Drift, DriftCollector
from rt_predictor_api.engine import Engine
from rt_predictor_api.front.front import Front
from rt_predictor_api.health import SERVICE, Health, Response
from rt_predictor_api.interceptors.errors import Errors
from rt_predictor_api.interceptors.limits import TRANSPORT_SLACK, Limits
from rt_predictor_api.interceptors.metrics import CallMetrics
from rt_predictor_api.interceptors.receiving import Receiving
from rt_predictor_api.interceptors.streams import Streams
from rt_predictor_api.live import LiveScores
from rt_predictor_api.metrics import Metrics
from rt_predictor_api.ports import unusable
from rt_predictor_api.scrape import FOLDER_VARIABLE, expose
from rt_predictor_api.security import listening
from rt_predictor_api.security.guard import Guard
from rt_predictor_api.security.privacy import Privacy
from rt_predictor_api.services.history import HistoryService
from rt_predictor_api.services.inference import InferenceService
from rt_predictor_api.services.model import ModelService
from rt_predictor_api.services.prediction import PredictionService
from rt_predictor_api.settings import Settings
from rt_predictor_api.stores import journal_of
from rt_predictor_api.stores.jobs import JobIndex
from rt_predictor_api.stores.remembered import Remembered
from rt_predictor_api.watch import Watch
from rt_predictor_formats.errors import Problem
from rtpredictor.v1 import (
    history_service_pb2_grpc,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

FORECASTS = "forecasts.sqlite3"
"""Name of the file with remembered forecasts in the folder of the history."""

SERVICES = ("PredictionService", "HistoryService", "ModelService")
NAMES = (*(f"rtpredictor.v1.{name}" for name in SERVICES), "inference.GRPCInferenceService")
TOLD = ("", *NAMES)
"""What has a health: each service, and under the empty name the whole server."""

LIVENESS = "liveness"
"""Health that is told as soon as calls are answered: who waits for a model is not to be restarted."""


class Service:
    """The service from its settings; built stopped.

    ``shared`` where other processes answer on the same port and the supervisor tells the metrics of all; ``place`` is
    which of them it is, and ``inner`` the socket that it listens on where nginx has the port. ``front`` is nginx
    before a process that answers alone.

    Raises
    ------
    Problem
        ``PORT_IN_USE`` or ``ADDRESS_UNUSABLE`` for an address that cannot be listened on; ``HISTORY_NOT_WRITABLE``
        or ``HISTORY_CORRUPT`` for the journal.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        shared: bool = False,
        place: int | None = None,
        inner: Path | None = None,
        front: Front | None = None,
    ) -> None:
        self._settings = settings
        self._cores = Cores(kept=settings.one_core, place=place)
        self._shared = shared
        self._front = front
        self._inner = front.workers[0] if front else inner
        self._log = structlog.get_logger()
        self._metrics = Metrics(metrics.OWN if shared else metrics.COUNTED)
        # the supervisor tells it for all
        self._drift = Drift(Path(os.environ[FOLDER_VARIABLE]) if shared else None)
        if not shared:
            self._metrics.registry.register(DriftCollector(lambda: [self._drift.counted()]))
        self._guard = Guard(settings, self._metrics)
        self._spans, self._send_spans = _tracing(settings)
        self._health = Health(settings.max_concurrent_calls)
        with self._cores.keeping():
            self._grpc = self._transport()
        # workers listen later: until then the port's other processes answer
        bound = settings.port if shared else self._listen()
        self.port = front.port if front else bound
        self._scraped = None if shared else expose(self._metrics.registry, settings)
        try:
            self._privacy = Privacy.of(settings)
            self._journal = journal_of(settings)
        except Problem:
            self._hide()
            raise
        self._jobs = JobIndex(self._journal, self._privacy, settings.listed_jobs)
        self._remembered = Remembered(settings.history / FORECASTS, settings.remembered_forecasts)
        live = LiveScores(self._metrics, self._remembered)
        cache = ForecastCache(settings.forecast_cache_entries, self._metrics)
        self._engine = Engine(self._journal, live, self._metrics, cache, self._cores, self._drift)
        self._catalogue = Catalogue(settings.models, self._metrics)
        self._watch = Watch(self._catalogue, self._engine, settings.watch_interval_seconds, self._ready)
        self._register()

    @property
    def metrics_port(self) -> int:
        """Port of this process's own metrics; 0 where it has none."""
        return int(self._scraped.server_port) if self._scraped else 0

    def run(self, stop: Event, on_listening: Callable[[], object] = lambda: None) -> None:
        """Serve until ``stop`` is set, then let running calls end. ``on_listening`` is called once calls are answered.

        Raises
        ------
        Problem
            ``NO_MODEL`` without a valid model, unless the settings say to wait for one; ``HISTORY_CORRUPT``.
        """
        try:
            if self._shared:
                # until then the port's other processes answer
                self._load()
                self._listen()
            with self._cores.keeping():
                self._grpc.start()
            if self._front:
                refused = partial(self._metrics.count, metrics.CALLS_REFUSED, "overloaded")
                restarted = partial(self._metrics.count, metrics.WORKER_RESTARTS)
                self._front.start(lambda calls: refused(by=calls), restarted)
            if not self._shared:
                self._load()
            self._guard.start(self.port)
            self._watch.start()
            self._drift.start()
            if self._shared:
                self._log.info("worker listening", port=self.port)
            else:
                self._metrics.set(metrics.WORKERS, to=1)
                self._log.info("listening", host=self._settings.host, port=self.port, metrics_port=self.metrics_port)
            on_listening()
            stop.wait()
        finally:
            self._drain()

    def _load(self) -> None:
        """Compile what is needed and adopt the newest model; raises Problem without one, unless that is allowed."""
        arrow.warm()
        self._watch.look()
        if self._engine.manifest is None:
            if not self._settings.wait_for_model:
                raise self._catalogue.nothing()
            self._log.warning("no model yet", models=str(self._settings.models))

    def _listen(self) -> int:
        """Bind the service's port and return it."""
        settings, credentials = self._settings, self._guard.credentials
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        address = f"unix:{self._inner}" if self._inner else f"{host}:{settings.port}"
        try:
            with self._cores.keeping():
                if credentials and not self._inner:
                    return self._grpc.add_secure_port(address, credentials)
                return self._grpc.add_insecure_port(address)
        except RuntimeError:
            # gRPC does not say why; the system does
            raise unusable(settings.host, settings.port, "port") from None

    def _transport(self) -> grpc.Server:
        settings = self._settings
        probe = int(settings.keepalive_seconds * 1_000)
        calls, pending = settings.max_concurrent_calls, settings.max_pending_calls
        if self._inner:
            # nginx bounds what comes: none of it is cancelled
            pending += settings.max_active_calls
        return grpc.server(
            # threads, for they are less work than asyncio; one for each call, as most only wait: for their message,
            # for their turn, for the next one of a stream
            ThreadPoolExecutor(calls, thread_name_prefix="call"),
            # from the outside in: what is counted is the status that errors became, of limits as well
            interceptors=[
                Receiving(calls, self._metrics),
                *self._spans,
                CallMetrics(self._metrics, settings.request_log_level),
                *self._guard.first,
                Errors(),
                Limits(settings, self._admission(), self._metrics),
                Streams(settings),
                *self._guard.last,
            ],
            options=[
                # two services on one port would each answer with a history of its own
                ("grpc.so_reuseport", int(self._shared)),
                # refusing in Python costs half of an answer; the transport does it for next to nothing, but CANCELLED
                ("grpc.server.max_pending_requests", pending),
                ("grpc.server.max_pending_requests_hard_limit", pending),
                ("grpc.max_receive_message_length", TRANSPORT_SLACK * settings.max_message_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.keepalive_time_ms", probe),
                ("grpc.keepalive_timeout_ms", 20_000),
                ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
                ("grpc.keepalive_permit_without_calls", 1),
                *([] if self._inner else _connections(settings)),
            ],
            maximum_concurrent_rpcs=calls,
        )

    def _admission(self) -> Admission:
        refused = partial(self._metrics.count, metrics.CALLS_REFUSED, "overloaded")
        return Admission(self._settings.max_active_calls, self._settings.max_wait_seconds, on_refused=refused)

    def _register(self) -> None:
        server, engine, settings = self._grpc, self._engine, self._settings
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            PredictionService(engine, settings, self._metrics, time.time), server
        )
        history_service_pb2_grpc.add_HistoryServiceServicer_to_server(
            HistoryService(engine, settings, self._metrics, self._jobs, self._remembered, self._privacy), server
        )
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(engine, self._catalogue), server)
        inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(
            InferenceService(engine, settings, self._metrics, time.time), server
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        self._health.tell(TOLD, Response.NOT_SERVING)
        self._health.tell((LIVENESS,), Response.SERVING)
        if listening.reflects(settings):
            describe((*NAMES, SERVICE), server)

    def _ready(self) -> None:
        self._metrics.set(metrics.READY, to=1)
        self._health.tell(TOLD, Response.SERVING)

    def _drain(self) -> None:
        """Say so, stop learning of new models, let calls end, close the journal."""
        self._health.end()
        self._metrics.set(metrics.READY, to=0)
        self._log.info("draining", seconds=self._settings.drain_seconds)
        if self._front:
            self._front.drain()
        self._watch.stop()
        self._drift.stop()
        self._guard.stop()
        self._grpc.stop(self._settings.drain_seconds).wait()
        self._jobs.close()
        self._journal.close()
        self._remembered.close()
        self._send_spans()
        self._hide()
        self._log.info("stopped")

    def _hide(self) -> None:
        if self._scraped:
            self._scraped.shutdown()
            self._scraped.server_close()


def _tracing(settings: Settings) -> tuple[list[grpc.ServerInterceptor[Any, Any]], Callable[[], None]]:
    """Return what makes spans, and what sends the last of them; nothing where no collector is named."""
    if not settings.traces_endpoint:
        return [], lambda: None
    # whoever traces nothing loads nothing for it
    from rt_predictor_api.interceptors.tracing import Tracing
    from rt_predictor_api.traces import provider

    made = provider(settings)
    return [Tracing(made)], made.shutdown


def _connections(settings: Settings) -> list[tuple[str, int]]:
    """Return how long a connection may last: where clients balance, a new one finds replicas that came later."""
    if not settings.max_connection_seconds:
        return []
    # gRPC itself varies it by a tenth, so that not all come back at once; calls and streams on it may end
    return [("grpc.max_connection_age_ms", int(settings.max_connection_seconds * 1_000))]
