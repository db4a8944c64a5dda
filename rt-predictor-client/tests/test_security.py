"""TLS, mutual TLS and tokens against a real server with real certificates."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from rt_predictor_client.client import Client
from rt_predictor_client.config import Security
from rt_predictor_client.errors import NotAllowed, Unreachable
from rt_predictor_formats.errors import Problem

TOKEN = "s3cret-of-ada"


class Door(grpc.ServerInterceptor):
    """Lets those in who bring the token, and tells the others by the statuses that the service uses."""

    def intercept_service(self, continuation: Any, details: Any) -> Any:
        brought = dict(details.invocation_metadata).get("authorization")
        if brought == f"Bearer {TOKEN}":
            return continuation(details)
        status = grpc.StatusCode.UNAUTHENTICATED if brought is None else grpc.StatusCode.PERMISSION_DENIED
        return grpc.unary_unary_rpc_method_handler(lambda _, context: context.abort(status, "not you"))


@dataclass
class Site:
    """An authority with its files, and servers that it vouches for."""

    folder: Path
    authority: trustme.CA = field(default_factory=trustme.CA)
    servers: list[grpc.Server] = field(default_factory=list)

    def file(self, name: str, *blobs: trustme.Blob) -> str:
        path = self.folder / name
        path.write_bytes(b"".join(blob.bytes() for blob in blobs))
        return str(path)

    @property
    def ca_file(self) -> str:
        return self.file("ca.pem", self.authority.cert_pem)

    def own(self) -> dict[str, str]:
        mine = self.authority.issue_cert("ada@example.org")
        return {
            "cert_file": self.file("cert.pem", *mine.cert_chain_pems),
            "key_file": self.file("key.pem", mine.private_key_pem),
        }

    def serve(self, *, name: str = "127.0.0.1", mutual: bool = False, plain: bool = False, door: bool = False) -> str:
        """Start a server whose certificate is for ``name``; return where it listens."""
        server = grpc.server(ThreadPoolExecutor(4), interceptors=[Door()] if door else [])
        checks = health.HealthServicer()
        checks.set("", health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(checks, server)
        own = self.authority.issue_cert(name)
        chain = b"".join(blob.bytes() for blob in own.cert_chain_pems)
        credentials = grpc.ssl_server_credentials(
            [(own.private_key_pem.bytes(), chain)],
            self.authority.cert_pem.bytes() if mutual else None,
            require_client_auth=mutual,
        )
        bind = server.add_insecure_port if plain else lambda at: server.add_secure_port(at, credentials)
        port = bind("127.0.0.1:0")
        server.start()
        self.servers.append(server)
        return f"127.0.0.1:{port}"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    for server in made.servers:
        server.stop(None).wait(10)


def ask(address: str, **security: Any) -> str:
    with Client(address, timeout_seconds=10, security=Security(**security)) as client:
        return client.health()


def test_a_service_is_trusted_by_the_authority_that_signed_for_it(site: Site) -> None:
    assert ask(site.serve(), ca_file=site.ca_file) == "SERVING"


def test_a_strange_authority_is_not_trusted(site: Site) -> None:
    other = site.file("other.pem", trustme.CA().cert_pem)
    for security in ({"ca_file": other}, {"tls": True}):
        with pytest.raises(Unreachable, match="certificate is not trusted") as caught:
            ask(site.serve(), **security)
        assert (caught.value.code, "--ca-file" in caught.value.remedy) == ("TLS_FAILED", True)


def test_a_certificate_for_another_name_needs_that_name(site: Site) -> None:
    address = site.serve(name="predictor.cluster")
    with pytest.raises(Unreachable, match="certificate is for another name") as caught:
        ask(address, ca_file=site.ca_file)
    assert "--server-name" in caught.value.remedy
    assert ask(address, ca_file=site.ca_file, server_name="predictor.cluster") == "SERVING"


def test_plain_text_where_tls_was_asked_for_is_told(site: Site) -> None:
    with pytest.raises(Unreachable, match="does the service speak TLS there"):
        ask(site.serve(plain=True), ca_file=site.ca_file)


def test_mutual_tls_asks_for_a_certificate(site: Site) -> None:
    address = site.serve(mutual=True)
    with pytest.raises(Unreachable):
        ask(address, ca_file=site.ca_file)
    assert ask(address, ca_file=site.ca_file, **site.own()) == "SERVING"


def test_the_token_goes_with_every_call(site: Site) -> None:
    address = site.serve(door=True)
    assert ask(address, ca_file=site.ca_file, token=TOKEN) == "SERVING"
    with pytest.raises(NotAllowed, match="RT_PREDICTOR_TOKEN"):
        ask(address, ca_file=site.ca_file)
    with pytest.raises(NotAllowed, match="not you"):
        ask(address, ca_file=site.ca_file, token="another")


@pytest.mark.parametrize("host", ["predictor.cluster:1", "10.0.0.1:1", "localhost:1,10.0.0.1:1", "dns:///far.away:1"])
def test_a_token_is_not_sent_in_clear_over_a_network(host: str) -> None:
    with pytest.raises(Problem) as caught:
        Client(host, security=Security(token=TOKEN))
    assert caught.value.code in {"TOKEN_IN_CLEAR", "ADDRESS_INVALID"}


def test_a_token_may_stay_in_clear_on_this_machine(site: Site) -> None:
    address = site.serve(plain=True, door=True)
    assert ask(address, token=TOKEN) == "SERVING"
    assert ask(address.replace("127.0.0.1", "localhost"), token=TOKEN) == "SERVING"


def test_a_token_in_clear_passes_by_the_proxy_of_the_environment(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    assert ask(site.serve(plain=True, door=True), token=TOKEN) == "SERVING"


def test_a_token_is_not_shown() -> None:
    assert TOKEN not in repr(Security(token=TOKEN))
    with pytest.raises(Problem) as caught:
        Security(token=f"{TOKEN}\n")
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("name", ["cert_file", "key_file"])
def test_half_a_pair_is_refused(name: str) -> None:
    with pytest.raises(Problem, match="without"):
        Security(**{name: "own.pem"})


def test_files_that_are_unfit_are_named_before_any_call(site: Site) -> None:
    own, garbage = site.own(), str(site.folder / "garbage.pem")
    Path(garbage).write_text("no certificate")
    other = trustme.CA().issue_cert("other").private_key_pem
    cases: list[tuple[dict[str, str], str]] = [
        ({"ca_file": str(site.folder / "nonesuch.pem")}, "nonesuch.pem: No such file"),
        ({"ca_file": garbage}, "garbage.pem"),
        ({**own, "cert_file": garbage}, "garbage.pem"),
        ({**own, "key_file": site.file("other.pem", other)}, "cert.pem: key values mismatch"),
    ]
    for security, words in cases:
        with pytest.raises(Problem, match=words) as caught:
            Client("localhost:1", security=Security(**security))
        assert caught.value.code == "TLS_FILE_INVALID"


def test_replicas_behind_tls_need_one_name(site: Site) -> None:
    both = f"{site.serve(name='predictor.cluster')},{site.serve(name='predictor.cluster')}"
    with pytest.raises(Problem, match="server_name"):
        Client(both, security=Security(ca_file=site.ca_file))
    assert ask(both, ca_file=site.ca_file, server_name="predictor.cluster") == "SERVING"


def test_the_command_takes_all_of_it_from_flags_environment_and_file(
    rtp: Callable[..., Any], site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, own = site.serve(mutual=True, door=True), site.own()
    token = site.folder / "token"
    token.write_text(f"{TOKEN}\n")
    files = {"ca_file": site.ca_file, **own, "token_file": str(token)}
    flags = [part for name, path in files.items() for part in (f"--{name.replace('_', '-')}", path)]
    assert rtp("--address", address, *flags, "health").status == 0

    for name, path in files.items():
        monkeypatch.setenv(f"RT_PREDICTOR_{name.upper()}", path)
    assert rtp("--address", address, "health").status == 0
    monkeypatch.setenv("RT_PREDICTOR_TOKEN", "another")
    refused = rtp("--address", address, "health")
    assert (refused.status, "not you" in refused.err, TOKEN in refused.err) == (4, True, False)

    for name in (*files, "token"):
        monkeypatch.delenv(f"RT_PREDICTOR_{name.upper()}")
    folder = Path(os.environ["HOME"]) / ".config"
    folder.mkdir(parents=True)
    (folder / "rtp.toml").write_text("".join(f"{name} = {path!r}\n" for name, path in files.items()))
    assert rtp("--address", address, "health").status == 0


def test_a_failed_handshake_is_one_line(site: Site) -> None:
    command = [sys.executable, "-c", "from rt_predictor_client.cli import main; main()", "--tls", "--address"]
    environment = {name: value for name, value in os.environ.items() if name != "GRPC_VERBOSITY"}
    done = subprocess.run(
        [*command, site.serve(), "health"], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    assert "TLS_FAILED" in done.stderr
