"""Who calls: by token, by certificate, or where nobody has to say so, by address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

import grpc

from rt_predictor_api.front import FORWARDED
from rt_predictor_api.security import scopes
from rt_predictor_api.security.access import ANY, CERTIFICATE, Access, Caller, hashed
from rt_predictor_api.security.kept import Kept
from rt_predictor_formats.errors import Problem

METADATA = "authorization"
"""Metadata key of the token, with the value ``Bearer TOKEN``."""

LONGEST_NAME = 255
"""Names of certificates are cut to this many characters."""

WITHOUT_FILE = frozenset({scopes.PREDICT, scopes.REPORT})
"""What every certificate of the clients' authority may do where no access file says otherwise."""


class Callers:
    """Tells who calls, from what the transport knows of a call.

    Parameters
    ----------
    access: the access file; None where there is none, and tokens mean nothing.
    certificates: whether clients show certificates.
    """

    def __init__(self, access: Kept[Access] | None, *, certificates: bool) -> None:
        self._access = access
        self._certificates = certificates

    @property
    def known(self) -> bool:
        """Whether callers must say who they are."""
        return self._access is not None or self._certificates

    def of(self, context: grpc.ServicerContext) -> Caller:
        """Return who calls; a token goes before a certificate.

        Raises
        ------
        Problem
            ``TOKEN_MISSING`` or ``TOKEN_UNKNOWN``.
        """
        if not self.known:
            return Caller(address(context), frozenset(scopes.ALL))
        presented = [str(value) for key, value in context.invocation_metadata() or () if key == METADATA]
        if self._access is not None and (presented or not self._certificates):
            return _by_token(self._access.value, presented)
        return self._by_certificate(context)

    def _by_certificate(self, context: Any) -> Caller:
        names = _names(context)
        if self._access is None:
            return Caller(names[0], WITHOUT_FILE)
        lines = self._access.value.certificates
        for name in names:
            if name in lines:
                return lines[name]
        rest = lines.get(ANY)
        return Caller(names[0], rest.scopes if rest else frozenset())


def address(context: grpc.ServicerContext) -> str:
    """Return where a call comes from, without the port, which is another one for each connection."""
    family, _, rest = unquote(peer(context)).partition(":")
    return rest.rpartition(":")[0].strip("[]") if family in {"ipv4", "ipv6"} else family


def peer(context: grpc.ServicerContext) -> str:
    """Return where a call comes from, in gRPC's words; behind nginx in nginx's, which alone reaches that socket."""
    told = context.peer()
    if not told.startswith("unix:"):
        return told
    return next((str(value) for key, value in context.invocation_metadata() or () if key == FORWARDED), told)


def _by_token(access: Access, presented: Sequence[str]) -> Caller:
    scheme, _, token = presented[0].partition(" ") if len(presented) == 1 else ("", "", "")
    if scheme.lower() != "bearer":
        raise Problem(
            "TOKEN_MISSING",
            "this service wants to know who calls",
            place=METADATA,
            remedy=f"send the metadata {METADATA}: Bearer TOKEN, once; the service's administrator issues tokens",
        )
    # found by its hash: what the time of a look-up tells is about the hash of a guess, from which no token follows
    caller = access.tokens.get(hashed(token.strip()))
    if caller is None:
        raise Problem(
            "TOKEN_UNKNOWN",
            "the token is not one of this service, or not any more",
            place=METADATA,
            remedy="ask the service's administrator for a new one",
        )
    return caller


def _names(context: Any) -> list[str]:
    """Return the names in a client's certificate: the alternative names, then the common name."""
    told = context.auth_context()
    raw = (*told.get("x509_subject_alternative_name", ()), *told.get("x509_common_name", ()))
    names = [f"{CERTIFICATE}{name.decode(errors='replace')[:LONGEST_NAME]}" for name in raw]
    return names or [CERTIFICATE]
