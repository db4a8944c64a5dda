"""From a configuration to a gRPC channel: where it leads, how it is protected, what gRPC does by itself."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc

from rt_predictor_client.config import Security
from rt_predictor_client.errors import Unreachable
from rt_predictor_formats.errors import Problem

MESSAGE_BYTES = 256 * 1024 * 1024
"""Greatest answer that is read [bytes]."""

REPEATED_BYTES = 16 * 1024 * 1024
"""What is kept of a call to be sent again [bytes]: the largest message that the service takes by default."""

KEEPALIVE_SECONDS = 30
"""How long a connection may be silent before it is probed [s]; the service lets a client ask every 10 s at most."""

ATTEMPTS = 5
"""How often a call is made at most where nothing answers."""

FIRST_BACKOFF_SECONDS, MOST_BACKOFF_SECONDS, BACKOFF_FACTOR = 0.1, 1.0, 2
"""The pause after the first try, of which a random part is waited, the longest, and how it grows."""

RETRIED = ("UNAVAILABLE", "CANCELLED")
"""Statuses without an answer: gRPC's server cancels some calls that it has not begun, draining or having too many."""

REPEATABLE: Mapping[str, tuple[str, ...]] = {
    # a forecast changes nothing; what is left of a stream that was answered in part, the client sends in another
    "rtpredictor.v1.PredictionService": ("Predict", "PredictBatch", "PredictStream", "PredictRemaining"),
    # an event is known by its cluster, job id and submit time: sent twice, it counts once
    "rtpredictor.v1.HistoryService": ("ReportJobs", "ListJobs"),
    "rtpredictor.v1.ModelService": ("GetModel", "ListModels", "GetEvaluation"),
    "grpc.health.v1.Health": ("Check",),
}
"""Calls that may be sent twice. A new call is none of them until someone has thought about it."""

SERVICE_CONFIG: dict[str, Any] = {
    # calls go to all replicas in turn, and past one that is gone
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [{"service": service, "method": name} for service, names in REPEATABLE.items() for name in names],
            "retryPolicy": {
                "maxAttempts": ATTEMPTS,
                "initialBackoff": f"{FIRST_BACKOFF_SECONDS}s",
                "maxBackoff": f"{MOST_BACKOFF_SECONDS}s",
                "backoffMultiplier": BACKOFF_FACTOR,
                "retryableStatusCodes": [*RETRIED],
            },
        }
    ],
    # where half of the tokens are gone nothing is tried again: a service that is down is not asked five times as often
    "retryThrottling": {"maxTokens": 100, "tokenRatio": 0.1},
}
"""What gRPC does by itself: balancing, and retries after a random part of the backoff."""

REPLICAS_CONFIG = {**SERVICE_CONFIG, "healthCheckConfig": {"serviceName": ""}}
"""The same for several replicas: one that drains, or has no model yet, is passed by until it says that it serves.

A single service is asked all the same: what it answers says more than that it does not serve.
"""

_OPTIONS = (
    ("grpc.per_rpc_retry_buffer_size", REPEATED_BYTES),
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", KEEPALIVE_SECONDS * 1000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # a replica that is back is used again within seconds, and not after two minutes
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)


def open_channel(address: str, security: Security, *, repeats: bool) -> grpc.Channel:
    """Return a channel to one or several replicas, on which gRPC repeats calls or not; connects at the first call.

    Raises Problem TOKEN_IN_CLEAR, TLS_FILE_INVALID or ADDRESS_INVALID, and Unreachable for an unknown host.
    """
    several = len(_replicas(address)) > 1
    config = REPLICAS_CONFIG if several else SERVICE_CONFIG
    options: list[tuple[str, Any]] = [*_OPTIONS, ("grpc.service_config", json.dumps(config))]
    options.append(("grpc.enable_retries", int(repeats)))
    if not security.encrypted:
        if security.token is not None:
            _require_loopback(address)
            # a proxy of the environment would see the token
            options.append(("grpc.enable_http_proxy", 0))
        return grpc.insecure_channel(target(address), options)
    if security.server_name is not None:
        options.append(("grpc.ssl_target_name_override", security.server_name))
    elif several:
        remedy = "give server_name, a name that the certificates of all replicas are for"
        raise Problem("ADDRESS_INVALID", "several replicas and TLS", place=address, remedy=remedy)
    return grpc.secure_channel(target(address), _credentials(security), options)


def target(address: str) -> str:
    """Return what gRPC connects to. The names of several replicas are looked up now, that of one by gRPC.

    Raises Problem ADDRESS_INVALID, and Unreachable for a name that is not known.
    """
    replicas = _replicas(address)
    if len(replicas) == 1:
        return replicas[0]
    found = [_look_up(*_place(one)) for one in replicas]
    for family, form in ((socket.AF_INET, "ipv4:{}"), (socket.AF_INET6, "ipv6:{}")):
        if all(family in places for places in found):
            return form.format(",".join(places[family] for places in found))
    remedy = "give addresses that are all of IPv4 or all of IPv6"
    raise Problem("ADDRESS_INVALID", "replicas of both IPv4 and IPv6", place=address, remedy=remedy)


def _replicas(address: str) -> list[str]:
    return [part.strip() for part in address.split(",") if part.strip()]


def _place(replica: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{replica}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or port is None:
        raise Problem("ADDRESS_INVALID", "this is no host and port", place=replica, remedy="write host:port")
    return host, port


def _look_up(host: str, port: int) -> dict[int, str]:
    """Return the first address of a host with its port, by family."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        thing = "no such host is known"
        raise Unreachable("UNREACHABLE", thing, place=f"{host}:{port}", remedy="correct the address") from None
    places: dict[int, str] = {}
    for family, _, _, _, (ip, *_) in found:
        places.setdefault(family, f"[{ip}]:{port}" if family == socket.AF_INET6 else f"{ip}:{port}")
    return places


def _require_loopback(address: str) -> None:
    for replica in _replicas(address):
        if not replica.startswith("unix:") and not _is_loopback(_place(replica)[0]):
            remedy = "give --ca-file or --tls, so that nobody on the way can read it"
            raise Problem("TOKEN_IN_CLEAR", "a token is not sent without encryption", place=replica, remedy=remedy)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _credentials(security: Security) -> grpc.ChannelCredentials:
    """Return the credentials of a channel, once OpenSSL has found the files fit: gRPC would only fail to connect."""
    _check(security.ca_file, lambda context, file: context.load_verify_locations(file))
    _check(security.cert_file, lambda context, file: context.load_cert_chain(file, security.key_file, password=""))
    authorities, key, chain = (
        Path(file).read_bytes() if file else None for file in (security.ca_file, security.key_file, security.cert_file)
    )
    return grpc.ssl_channel_credentials(authorities, key, chain)


def _check(file: str | None, load: Any) -> None:
    if file is None:
        return
    try:
        load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), file)
    except ssl.SSLError as error:
        reason = (error.reason or "no PEM file").replace("_", " ").lower()
        remedy = "give a PEM file; a key must belong to its certificate and have no password"
        raise Problem("TLS_FILE_INVALID", reason, place=file, remedy=remedy) from None
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise Problem("TLS_FILE_INVALID", reason, place=file, remedy="give a readable PEM file") from None
