"""The service's certificate and key, and the authority of its clients' certificates."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from functools import cached_property, partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import grpc

from rt_predictor_api.metrics import Metrics
from rt_predictor_api.security.kept import Contents, Kept
from rt_predictor_api.settings import Settings
from rt_predictor_formats.errors import Problem

WHAT = "certificate"


@dataclass(frozen=True)
class Certificate:
    """A chain and its key in PEM, and the authorities that client certificates must come from; empty for none asked."""

    chain: bytes
    key: bytes = field(repr=False)
    client_ca: bytes

    @cached_property
    def configuration(self) -> grpc.ServerCertificateConfiguration:
        """What gRPC wants of it."""
        return grpc.ssl_server_certificate_configuration([(self.key, self.chain)], self.client_ca or None)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate itself, as ``openssl x509 -fingerprint -sha256`` tells it, without colons."""
        end = self.chain.index(_END) + len(_END)
        first = self.chain[self.chain.index(_BEGIN) : end].decode("ascii")
        return sha256(ssl.PEM_cert_to_DER_cert(first)).hexdigest()


_BEGIN, _END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"


def kept(settings: Settings, counted: Metrics | None) -> Kept[Certificate] | None:
    """Return the certificate of the settings; None where they name none.

    Raises
    ------
    Problem
        ``CERTIFICATE_INVALID`` or ``FILE_UNREADABLE``.
    """
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    paths = [settings.tls_cert, settings.tls_key]
    if settings.tls_client_ca is not None:
        paths.append(settings.tls_client_ca)
    return Kept(WHAT, paths, partial(_read, paths), lambda _, new: {"sha256": new.fingerprint}, counted)


def credentials(certificate: Kept[Certificate]) -> grpc.ServerCredentials:
    """Return what a port is opened with; each new connection meets the newest certificate."""
    given = certificate.value

    def newest() -> Any:
        nonlocal given
        if certificate.value is given:
            return None
        given = certificate.value
        return given.configuration

    return grpc.dynamic_ssl_server_credentials(
        given.configuration, newest, require_client_authentication=bool(given.client_ca)
    )


def _read(paths: list[Path], contents: Contents) -> Certificate:
    """Check as OpenSSL does: PEM, the key belongs to the certificate, the authorities are some."""
    cert, key, *authority = paths
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # a password, so that an encrypted key fails instead of asking on the terminal
        context.load_cert_chain(cert, key, password="")
        if (cert.read_bytes(), key.read_bytes()) != contents[:2]:
            raise ssl.SSLError(0, "changed while it was read")
    except (OSError, ValueError) as error:
        raise _invalid(cert, f"no pair with the key {key} ({_reason(error)})") from error
    for path, pem in zip(authority, contents[2:], strict=True):
        try:
            context.load_verify_locations(cadata=pem.decode("ascii"))
        except (OSError, ValueError) as error:
            raise _invalid(path, f"no certificates of an authority ({_reason(error)})") from error
    return Certificate(contents[0], contents[1], b"".join(contents[2:]))


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
    return str(reason).lower().replace("_", " ")


def _invalid(path: Path, thing: str) -> Problem:
    return Problem(
        "CERTIFICATE_INVALID",
        thing,
        place=str(path),
        remedy="write it as PEM, the service's own certificate first, the key without a passphrase",
    )
