"""Who looks at the pages, where a proxy in front of them knows it: by a header that only that proxy may set."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from ipaddress import IPv6Address, ip_address

import streamlit as st

from rt_predictor_formats.errors import Problem
from rt_predictor_ui.settings import Settings, load_settings, variable

FORWARDED_VARIABLE = "FORWARDED_ALLOW_IPS"
"""Whom Streamlit's web server lets say in a header which address a visitor has: by default, this whole machine."""

_LOOPBACK = "127.0.0.1"
_LONGEST = 256


def visitor() -> str | None:
    """Return the visitor's name as the proxy tells it; None where no proxy is asked.

    Raises Problem NOT_SIGNED_IN for a visitor whom the proxy does not name, CONFIG_INVALID for settings that cannot
    tell who is who.
    """
    settings = load_settings()
    if not settings.user_header:
        return None
    headers = st.context.headers.get_all(settings.user_header)
    # Streamlit tells None for an address of this machine
    return named(settings, headers, st.context.ip_address or _LOOPBACK, os.environ)


def named(settings: Settings, headers: Sequence[str], peer: str, environment: Mapping[str, str]) -> str:
    """Return the name in the header's values, if ``peer``, who connected, may set it; raises as ``visitor``."""
    if environment.get(FORWARDED_VARIABLE, _LOOPBACK):
        remedy = f"start the pages with `{FORWARDED_VARIABLE}` set to nothing"
        thing = "a header may say which address a visitor has, so that nobody can be told from the proxy"
        raise Problem("CONFIG_INVALID", thing, place=variable("user_header"), remedy=remedy)
    name = headers[0].strip() if len(headers) == 1 else ""
    if not _trusted(settings, peer) or not name or len(name) > _LONGEST:
        remedy = "come by the portal that leads here, and sign in there"
        raise Problem("NOT_SIGNED_IN", "it is not known who you are", remedy=remedy)
    return name


def _trusted(settings: Settings, peer: str) -> bool:
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in settings.proxies)
