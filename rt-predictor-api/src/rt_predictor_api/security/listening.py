"""What a service must have before it lets other machines in."""

from __future__ import annotations

import socket
from ipaddress import ip_address

from rt_predictor_api.settings import Settings, variable
from rt_predictor_formats.errors import Problem


def check(settings: Settings) -> None:
    """Do nothing where the settings fit each other and are safe where they listen.

    Raises
    ------
    Problem
        ``SETTING_INVALID`` for half a pair; ``INSECURE_LISTEN`` where others could listen in or call unknown, and the
        settings do not say that this is meant.
    """
    _check_pairs(settings)
    if settings.allow_insecure or is_loopback(settings.host):
        return
    if settings.tls_cert is None:
        needed = "tls_cert", "tls_key"
        raise _insecure(settings, "other machines could call without encryption", needed)
    if settings.access_file is None and settings.tls_client_ca is None:
        raise _insecure(settings, "anyone on the network could call", ("access_file", "tls_client_ca"))


def is_loopback(host: str) -> bool:
    """Return whether an address, or every address of a name, is this machine's own; False where nothing is known."""
    try:
        found = {str(address[0]) for *_, address in socket.getaddrinfo(host, None)}
        return bool(found) and all(ip_address(one).is_loopback for one in found)
    except (OSError, ValueError):
        return False


def reflects(settings: Settings) -> bool:
    """Return whether the contract is described to tools: as told, else where only this machine can ask."""
    return is_loopback(settings.host) if settings.reflection is None else settings.reflection


def _check_pairs(settings: Settings) -> None:
    for given, needs in (("tls_cert", "tls_key"), ("tls_key", "tls_cert"), ("tls_client_ca", "tls_cert")):
        if getattr(settings, given) is not None and getattr(settings, needs) is None:
            raise Problem(
                "SETTING_INVALID",
                f"is empty, but {variable(given)} is set",
                place=variable(needs),
                remedy="set both, or none",
            )


def _insecure(settings: Settings, thing: str, needed: tuple[str, str]) -> Problem:
    first, second = (variable(field) for field in needed)
    joint = "and" if needed[0] == "tls_cert" else "or"
    remedy = (
        f"set {first} {joint} {second}, or listen on 127.0.0.1; {variable('allow_insecure')}=true says that the "
        f"network keeps everyone else out (docs/how-to/secure-the-service.md)"
    )
    return Problem("INSECURE_LISTEN", thing, place=f"{variable('host')}={settings.host}", remedy=remedy)
