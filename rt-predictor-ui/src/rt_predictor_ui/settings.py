"""What a site sets for the pages, by the environment; how the service is reached is the client's own configuration."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final
from urllib.parse import urlsplit

from rt_predictor_client import Config
from rt_predictor_formats.errors import Problem, shown

_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
DEFAULT_METRICS_PORT: Final = 8181
"""Where the API tells its metrics unless it is told otherwise."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the pages read besides the service.

    Attributes
    ----------
    prometheus_url: Prometheus's address, up to its ``/api/v1``; empty: there is none, the service itself is asked.
    prometheus_job: the name that Prometheus scrapes the service under.
    metrics_url: where the service tells its metrics; empty: at the service's host, by ``metrics_port``.
    metrics_port: port of the service's metrics.
    user_header: header by which a proxy tells who the visitor is; empty: nobody is asked.
    trusted_proxies: addresses and networks of the proxies that may, separated by commas.
    """

    prometheus_url: str = ""
    prometheus_job: str = "rt-predictor-api"
    metrics_url: str = ""
    metrics_port: int = DEFAULT_METRICS_PORT
    user_header: str = ""
    trusted_proxies: str = ""

    @property
    def proxies(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """Whom the header is taken from; raises ValueError for what is no address."""
        return tuple(ip_network(one.strip()) for one in self.trusted_proxies.split(",") if one.strip())

    def metrics_address(self, config: Config) -> str:
        """Return where the service that the client is configured for tells its metrics; of replicas, the first."""
        if self.metrics_url:
            return self.metrics_url
        host = config.address.partition(",")[0].rpartition(":")[0]
        scheme = "https" if config.security.encrypted else "http"
        return f"{scheme}://{host}:{self.metrics_port}/metrics"


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Return the settings of the environment (``os.environ`` if None); raises Problem CONFIG_INVALID."""
    found = os.environ if environment is None else environment
    given = {one.name: text for one in fields(Settings) if (text := found.get(variable(one.name), "").strip())}
    for name in ("prometheus_url", "metrics_url"):
        _check_url(name, given.get(name))
    port = given.pop("metrics_port", str(DEFAULT_METRICS_PORT))
    if not (port.isascii() and port.isdecimal() and 0 < int(port[:6]) < 2**16):
        raise _invalid("metrics_port", port, "write a port from 1 to 65535")
    settings = Settings(metrics_port=int(port), **given)
    _check_proxies(settings)
    return settings


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return f"RT_PREDICTOR_{name.upper()}"


def _check_proxies(settings: Settings) -> None:
    """Refuse a header without those who may set it: anybody could call himself anything."""
    if settings.user_header and not _HEADER.fullmatch(settings.user_header):
        raise _invalid("user_header", settings.user_header, "write the name of a header, as X-Forwarded-User")
    try:
        proxies = settings.proxies
    except ValueError:
        raise _invalid("trusted_proxies", settings.trusted_proxies, "write addresses as 10.0.0.1,10.1.0.0/16") from None
    if settings.user_header and not proxies:
        raise _invalid("trusted_proxies", "", "name the proxies that may set the header, as 127.0.0.1")


def _check_url(name: str, url: str | None) -> None:
    if url is None:
        return
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise _invalid(name, url, "write http://HOST:PORT or https://HOST:PORT")
    if parts.username or parts.password:  # it would be shown on the page and in logs
        raise Problem("CONFIG_INVALID", "a password in an address", place=variable(name), remedy="take it out")


def _invalid(name: str, text: str, remedy: str) -> Problem:
    return Problem("CONFIG_INVALID", f"{shown(text)} is not accepted", place=variable(name), remedy=remedy)
