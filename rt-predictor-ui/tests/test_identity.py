"""Who is who, behind a proxy."""

from __future__ import annotations

import pytest

from rt_predictor_formats.errors import Problem
from rt_predictor_ui.identity import named
from rt_predictor_ui.settings import Settings, load_settings

BEHIND = Settings(user_header="X-Forwarded-User", trusted_proxies="127.0.0.1, 10.1.0.0/16, fd00::/8")
CLOSED = {"FORWARDED_ALLOW_IPS": ""}


@pytest.mark.parametrize("peer", ["127.0.0.1", "10.1.2.3", "::ffff:10.1.2.3", "fd00::1", "fd00::1%eth0"])
def test_a_trusted_proxy_names_the_visitor(peer: str) -> None:
    assert named(BEHIND, [" ada "], peer, CLOSED) == "ada"


@pytest.mark.parametrize(
    ("headers", "peer"),
    [
        (["ada"], "10.2.0.1"),
        (["ada"], "::1"),
        (["ada"], "nowhere"),
        ([], "127.0.0.1"),
        ([" "], "127.0.0.1"),
        (["ada", "bob"], "127.0.0.1"),  # one of them is what the visitor sent
        (["a" * 257], "127.0.0.1"),
    ],
)
def test_anybody_else_is_nobody(headers: list[str], peer: str) -> None:
    with pytest.raises(Problem) as caught:
        named(BEHIND, headers, peer, CLOSED)
    assert caught.value.code == "NOT_SIGNED_IN"


@pytest.mark.parametrize("environment", [{}, {"FORWARDED_ALLOW_IPS": "*"}, {"FORWARDED_ALLOW_IPS": "127.0.0.1"}])
def test_an_address_that_a_header_can_say_proves_nothing(environment: dict[str, str]) -> None:
    with pytest.raises(Problem) as caught:
        named(BEHIND, ["ada"], "127.0.0.1", environment)
    assert caught.value.code == "CONFIG_INVALID"
    assert "FORWARDED_ALLOW_IPS" in caught.value.remedy


@pytest.mark.parametrize(
    ("header", "proxies", "place"),
    [
        ("X-Forwarded-User", "", "TRUSTED_PROXIES"),
        ("X-Forwarded-User", "proxy.example.org", "TRUSTED_PROXIES"),
        ("X-Forwarded-User", "10.1.2.3/16", "TRUSTED_PROXIES"),
        ("X Forwarded: User", "127.0.0.1", "USER_HEADER"),
    ],
)
def test_settings_that_would_trust_anybody_are_refused(header: str, proxies: str, place: str) -> None:
    with pytest.raises(Problem) as caught:
        load_settings({"RT_PREDICTOR_USER_HEADER": header, "RT_PREDICTOR_TRUSTED_PROXIES": proxies})
    assert caught.value.place == f"RT_PREDICTOR_{place}"
