"""The parts of the service's security, built from the settings in order."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import Any

import grpc
import structlog

from rt_predictor_api.interceptors.auth import Auth
from rt_predictor_api.interceptors.rates import Rates
from rt_predictor_api.metrics import Metrics
from rt_predictor_api.periodic import Periodic
from rt_predictor_api.security import access, audit, certificates, listening
from rt_predictor_api.security.budgets import MOST_NAMES, Budgets
from rt_predictor_api.security.callers import Callers
from rt_predictor_api.settings import Settings, variable


class Guard:
    """What a service needs to know whom it answers.

    Parameters
    ----------
    settings, counted: of the service.

    Attributes
    ----------
    credentials: what the port is opened with; None for plain text.
    first: interceptors that come before anything is done for a call.
    last: interceptors that see its messages.

    Raises
    ------
    Problem
        ``INSECURE_LISTEN``, ``SETTING_INVALID``, ``CERTIFICATE_INVALID``, ``ACCESS_INVALID``, ``FILE_UNREADABLE``.
    """

    def __init__(self, settings: Settings, counted: Metrics) -> None:
        listening.check(settings)
        self._settings = settings
        self._certificate = certificates.kept(settings, counted)
        self._access = access.kept(settings.access_file, counted) if settings.access_file else None
        callers = Callers(self._access, certificates=settings.tls_client_ca is not None)
        self.credentials = certificates.credentials(self._certificate) if self._certificate else None
        self.first: Sequence[grpc.ServerInterceptor[Any, Any]] = [Auth(callers, counted)] if callers.known else []
        self.last: Sequence[grpc.ServerInterceptor[Any, Any]] = []
        if settings.rate_per_second:
            budgets = Budgets(settings.rate_per_second, settings.rate_burst, MOST_NAMES, monotonic)
            most_rows = max(settings.max_batch_rows, settings.max_arrow_rows)
            self.last = [Rates(callers, budgets, counted, most_rows)]
        failed = "could not look at certificate and access file"
        self._looks = Periodic(self.look, settings.watch_interval_seconds, name="guard", failed=failed)
        self._log = structlog.get_logger()

    def start(self, port: int) -> None:
        """Tell how the service is secured, and begin to look whether its files change."""
        settings = self._settings
        audit.record(
            "service started",
            host=settings.host,
            port=port,
            tls=self._certificate.value.fingerprint if self._certificate else "",
            client_certificates=settings.tls_client_ca is not None,
            tokens=len(self._access.value.tokens) if self._access else 0,
            reflection=listening.reflects(settings),
            rate_per_second=settings.rate_per_second,
        )
        if settings.allow_insecure and not listening.is_loopback(settings.host):
            self._log.warning("the network alone keeps others out", because=variable("allow_insecure"))
        self._looks.start()

    def stop(self) -> None:
        """End the looking."""
        self._looks.stop()

    def look(self) -> None:
        """Take changed files."""
        for kept in (self._certificate, self._access):
            if kept is not None:
                kept.look()
