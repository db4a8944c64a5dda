"""What a service must have before it lets other machines in."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
import yaml

from rt_predictor_api.main import MISCONFIGURED
from rt_predictor_api.ports import address_of, claim
from rt_predictor_api.security.listening import check, is_loopback, reflects
from rt_predictor_api.settings import read
from rt_predictor_formats.errors import Problem

ROOT = Path(__file__).resolve().parents[2]

EVERYWHERE = "0.0.0.0"  # noqa: S104 - what the service refuses
TLS = {"tls_cert": "cert.pem", "tls_key": "key.pem"}


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("localhost", True),
        ("::1", True),
        (EVERYWHERE, False),
        ("::", False),
        ("192.0.2.1", False),
        ("no-such-host.invalid", False),
    ],
)
def test_this_machines_own_addresses_are_known(host: str, own: bool) -> None:  # noqa: FBT001 - a case
    assert is_loopback(host) is own
    assert reflects(read({"host": host})) is own
    assert reflects(read({"host": host, "reflection": not own})) is not own


@pytest.mark.parametrize("host", [EVERYWHERE, "::", "192.0.2.1", ""])
@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({}, "RT_PREDICTOR_TLS_CERT and RT_PREDICTOR_TLS_KEY"),
        ({"access_file": "access"}, "RT_PREDICTOR_TLS_CERT and RT_PREDICTOR_TLS_KEY"),
        (TLS, "RT_PREDICTOR_ACCESS_FILE or RT_PREDICTOR_TLS_CLIENT_CA"),
        (TLS | {"access_file": "access"}, ""),
        (TLS | {"tls_client_ca": "ca.pem"}, ""),
        ({"allow_insecure": True}, ""),
    ],
)
def test_other_machines_are_let_in_encrypted_and_known_or_by_an_explicit_word(
    host: str, given: dict[str, Any], names: str
) -> None:
    settings = read({"host": host, **given})
    if not names:
        check(settings)
        return
    with pytest.raises(Problem) as caught:
        check(settings)
    assert caught.value.code == "INSECURE_LISTEN"
    assert names in caught.value.remedy
    assert "RT_PREDICTOR_ALLOW_INSECURE=true" in caught.value.remedy


@pytest.mark.parametrize(
    ("given", "lacks"),
    [
        ({"tls_cert": "cert.pem"}, "TLS_KEY"),
        ({"tls_key": "key.pem"}, "TLS_CERT"),
        ({"tls_client_ca": "ca.pem"}, "TLS_CERT"),
    ],
)
def test_half_a_pair_is_refused_even_here(given: dict[str, Any], lacks: str) -> None:
    with pytest.raises(Problem) as caught:
        check(read({**given, "allow_insecure": True}))
    assert (caught.value.code, caught.value.place) == ("SETTING_INVALID", f"RT_PREDICTOR_{lacks}")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_service_itself_refuses(refused: Any, workers: str) -> None:
    line = refused("--host", EVERYWHERE, "--workers", workers, status=MISCONFIGURED)
    assert "RT_PREDICTOR_HOST=0.0.0.0" in line
    assert line.endswith("[INSECURE_LISTEN]")


def test_an_explicit_word_lets_it_start_and_is_logged(start: Any) -> None:
    service = start("--host", EVERYWHERE, RT_PREDICTOR_ALLOW_INSECURE="true")
    assert service.said("the network alone keeps others out")
    assert service.said("service started")["reflection"] is False


def test_compose_publishes_on_this_machine_alone_unless_told_otherwise() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    services = yaml.safe_load(text)["services"]
    published = [port for service in services.values() for port in service.get("ports", ())]
    assert {port.rpartition(":")[2] for port in published} >= {"50051", "8181", "8501", "9090"}
    assert all(port.startswith("${RT_PREDICTOR_BIND:-127.0.0.1}:") for port in published)
    assert "RT_PREDICTOR_ALLOW_INSECURE" in text


def test_a_port_whose_former_connections_the_system_remembers_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as former:
        port = former.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            # who closes first is remembered
            former.accept()[0].close()
    with claim("127.0.0.1", port) as held:
        assert address_of(held) == ("127.0.0.1", port)


def test_a_port_that_is_held_or_listened_on_is_not_claimed() -> None:
    with claim("127.0.0.1", 0) as held:
        port = address_of(held)[1]
        for _ in range(2):
            with pytest.raises(Problem) as caught:
                claim("127.0.0.1", port)
            assert caught.value.code == "PORT_IN_USE"
    with socket.create_server(("127.0.0.1", port)), pytest.raises(Problem) as caught:
        claim("127.0.0.1", port)
    assert caught.value.code == "PORT_IN_USE"
