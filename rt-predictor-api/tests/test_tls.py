"""Encryption, certificates of clients, and certificates that change while the service runs."""

from __future__ import annotations

import socket
import ssl
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from rt_predictor_api.metrics import Metrics
from rt_predictor_api.security.certificates import kept
from rt_predictor_api.settings import read
from rt_predictor_formats.errors import Problem
from rtpredictor.v1.model_service_pb2 import GetModelRequest
from rtpredictor.v1.model_service_pb2_grpc import ModelServiceStub


@dataclass
class Site:
    """An authority, the service's files in a folder, and clients that trust the authority."""

    folder: Path
    replace: Callable[[Path, bytes], None]

    def __post_init__(self) -> None:
        self.authority = trustme.CA()
        self.settings = {"tls_cert": self.folder / "cert.pem", "tls_key": self.folder / "key.pem"}
        self.mutual = self.settings | {"tls_client_ca": self.folder / "clients.pem"}
        self.install(self.issue())
        self.replace(self.mutual["tls_client_ca"], self.authority.cert_pem.bytes())

    def issue(self, *names: str, **fields: Any) -> trustme.LeafCert:
        return self.authority.issue_cert(*(names or ("localhost", "127.0.0.1")), **fields)

    def install(self, leaf: trustme.LeafCert) -> str:
        """Put a certificate in place, the key after it, and return its fingerprint."""
        self.replace(self.settings["tls_cert"], chain(leaf))
        self.replace(self.settings["tls_key"], leaf.private_key_pem.bytes())
        return fingerprint(leaf)

    def trusting(self, leaf: trustme.LeafCert | None = None) -> grpc.ChannelCredentials:
        """Return what a client connects with, and shows of itself."""
        own = (leaf.private_key_pem.bytes(), chain(leaf)) if leaf else ()
        return grpc.ssl_channel_credentials(self.authority.cert_pem.bytes(), *own)

    def met(self, port: int, protocol: str = "h2") -> str:
        """Return the fingerprint of the certificate that a new connection meets."""
        context = ssl.create_default_context(cadata=self.authority.cert_pem.bytes().decode())
        context.set_alpn_protocols([protocol])
        with (
            socket.create_connection(("127.0.0.1", port), 10) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as secure,
        ):
            return sha256(secure.getpeercert(binary_form=True) or b"").hexdigest()

    def scrape(self, port: int) -> str:
        context = ssl.create_default_context(cadata=self.authority.cert_pem.bytes().decode())
        with urllib.request.urlopen(f"https://localhost:{port}/metrics", timeout=10, context=context) as answer:
            return str(answer.read().decode())


def chain(leaf: trustme.LeafCert) -> bytes:
    return b"".join(part.bytes() for part in leaf.cert_chain_pems)


def fingerprint(leaf: trustme.LeafCert) -> str:
    return sha256(ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode())).hexdigest()


@pytest.fixture
def site(tmp_path: Path, replace: Any) -> Site:
    return Site(tmp_path, replace)


def answers(channel: grpc.Channel) -> bool:
    """Return whether a call is answered; False where no connection comes about."""
    call = channel.unary_unary(
        "/rtpredictor.v1.ModelService/GetModel", request_serializer=GetModelRequest.SerializeToString
    )
    code = grpc.StatusCode.OK
    try:
        call(GetModelRequest(), timeout=10)
    except grpc.RpcError as error:
        code = error.code()
    finally:
        channel.close()
    assert code in {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}
    return code is grpc.StatusCode.OK


def test_who_trusts_the_authority_is_answered_and_nobody_in_plain_text(served: Any, site: Site, connect: Any) -> None:
    stranger = grpc.ssl_channel_credentials(trustme.CA().cert_pem.bytes())
    with served(**site.settings, credentials=site.trusting()) as client:
        assert client.model.GetModel(GetModelRequest()).model.version
        assert not answers(connect(client.port, stranger)), "a client must not take a certificate of another authority"
        assert not answers(connect(client.port))


def test_without_a_certificate_of_the_authority_nobody_connects_where_one_is_required(
    served: Any, site: Site, connect: Any
) -> None:
    foreign = trustme.CA().issue_cert("portal")
    with served(**site.mutual, credentials=site.trusting(site.issue("portal"))) as client:
        assert client.model.GetModel(GetModelRequest()).model.version
        assert not answers(connect(client.port, site.trusting()))
        assert not answers(connect(client.port, site.trusting(foreign)))


def test_new_connections_meet_the_new_certificate_and_old_ones_go_on(
    served: Any, site: Site, until: Any, audited: Any
) -> None:
    with served(**site.settings, credentials=site.trusting(), watch_interval_seconds=0.05) as client:
        first = site.met(client.port)
        assert client.model.GetModel(GetModelRequest())
        second = site.install(site.issue())
        until(lambda: site.met(client.port) == second, "the new certificate")
        assert first != second
        assert client.model.GetModel(GetModelRequest()), "the connection from before"
        (line,) = audited("certificate changed")
        assert line["sha256"] == second
        assert site.met(client.metrics_port, "http/1.1") == second


@pytest.mark.parametrize("workers", ["1", "2"])
def test_nginx_meets_clients_with_the_newest_good_certificate(
    fronted: Any, site: Site, connect: Any, until: Any, workers: str
) -> None:
    files = {f"RT_PREDICTOR_{name.upper()}": str(path) for name, path in site.settings.items()}
    service = fronted("--workers", workers, **files)
    channel = connect(service.port, site.trusting())
    asked = ModelServiceStub(channel).GetModel
    assert asked(GetModelRequest(), timeout=60).model.version
    assert not answers(connect(service.port))
    first = site.met(service.port)
    leaf = site.issue()
    site.replace(site.settings["tls_cert"], chain(leaf))
    until(lambda: service.lines_of("certificate refused"), "half a pair to be refused")
    assert site.met(service.port) == first
    site.replace(site.settings["tls_key"], leaf.private_key_pem.bytes())
    until(lambda: site.met(service.port) == fingerprint(leaf), "the new certificate")
    assert asked(GetModelRequest(), timeout=60).model.version
    assert service.end() == 0
    channel.close()


def test_an_authority_that_is_withdrawn_lets_nobody_in_any_more(
    served: Any, site: Site, until: Any, audited: Any, connect: Any, replace: Any
) -> None:
    other = trustme.CA()
    old, new = site.issue("portal"), other.issue_cert("portal")
    with served(**site.mutual, credentials=site.trusting(old), watch_interval_seconds=0.05) as client:
        assert not answers(connect(client.port, site.trusting(new)))
        replace(site.mutual["tls_client_ca"], other.cert_pem.bytes())
        until(lambda: audited("certificate changed"), "the new authority")
        assert answers(connect(client.port, site.trusting(new)))
        assert not answers(connect(client.port, site.trusting(old)))


def other_key(site: Site) -> bytes:
    return site.issue().private_key_pem.bytes()


def encrypted_key(site: Site) -> bytes:
    key = serialization.load_pem_private_key(site.settings["tls_key"].read_bytes(), None)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"open sesame"),
    )


BROKEN = pytest.mark.parametrize(
    ("field", "content"),
    [
        ("tls_cert", lambda _: b""),
        ("tls_cert", lambda site: site.settings["tls_cert"].read_bytes()[:300]),
        ("tls_cert", lambda site: chain(site.issue())),
        ("tls_key", other_key),
        ("tls_key", encrypted_key),
        ("tls_key", lambda _: b"\x00\xff" * 50),
        ("tls_key", None),
        ("tls_client_ca", lambda _: b""),
        ("tls_client_ca", lambda _: b"\xff"),
        ("tls_client_ca", lambda _: b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)


def spoil(site: Site, field: str, content: Callable[[Site], bytes] | None) -> None:
    path = site.mutual[field]
    path.unlink() if content is None else site.replace(path, content(site))


@BROKEN
def test_broken_files_are_refused_at_the_start(site: Site, field: str, content: Any) -> None:
    spoil(site, field, content)
    with pytest.raises(Problem) as caught:
        kept(read(site.mutual), Metrics())
    assert caught.value.code == ("FILE_UNREADABLE" if content is None else "CERTIFICATE_INVALID")
    assert str(site.folder) in caught.value.place


@BROKEN
def test_broken_files_are_refused_later_and_the_old_ones_stay(
    site: Site, field: str, content: Any, audited: Any
) -> None:
    certificate = kept(read(site.mutual), Metrics())
    assert certificate is not None
    before = certificate.value
    spoil(site, field, content)
    certificate.look()
    certificate.look()
    assert certificate.value is before
    assert len(audited("certificate refused")) == 1


def test_half_a_rotation_is_refused_and_the_whole_is_taken(served: Any, site: Site, until: Any, audited: Any) -> None:
    refused = 'rtpredictor_security_reloads_total{file="certificate",outcome="refused"} 1.0'
    with served(**site.settings, credentials=site.trusting(), watch_interval_seconds=0.05) as client:
        first = site.met(client.port)
        leaf = site.issue()
        site.replace(site.settings["tls_cert"], chain(leaf))
        until(lambda: refused in site.scrape(client.metrics_port), "the refusal")
        assert site.met(client.port) == first
        site.replace(site.settings["tls_key"], leaf.private_key_pem.bytes())
        until(lambda: audited("certificate changed"), "the whole pair")
        assert site.met(client.port) == fingerprint(leaf)


@pytest.mark.parametrize(
    ("leaf", "refused"),
    [
        ({"names": ("portal.hpc",)}, ""),
        ({"names": ("unknown.hpc", "portal.hpc")}, ""),
        ({"names": ("unknown.hpc",), "common_name": "portal.hpc"}, ""),
        ({"names": ("reporter.hpc",)}, "cert:reporter.hpc"),
        ({"names": ("unknown.hpc",)}, "cert:unknown.hpc"),
    ],
)
def test_a_certificate_is_known_by_the_first_of_its_names_that_has_a_line(
    served: Any, site: Site, access_file: Any, refusal: Any, leaf: dict[str, Any], refused: str
) -> None:
    path, _ = access_file("cert:portal.hpc predict", "cert:reporter.hpc report")
    shown = site.issue(*leaf["names"], common_name=leaf.get("common_name"))
    with served(**site.mutual, access_file=path, credentials=site.trusting(shown)) as client:
        if not refused:
            assert client.model.GetModel(GetModelRequest())
            return
        answer = refusal(lambda: client.model.GetModel(GetModelRequest()))
        assert answer.code == "PERMISSION_DENIED"
        assert refused in answer.text


def test_a_token_goes_before_a_certificate_even_where_it_is_wrong(
    served: Any, site: Site, access_file: Any, refusal: Any
) -> None:
    path, tokens = access_file("cert:* report", portal="predict")
    credentials = site.trusting(site.issue("anyone"))
    with served(**site.mutual, access_file=path, credentials=credentials) as client:
        assert refusal(lambda: client.model.GetModel(GetModelRequest())).code == "PERMISSION_DENIED"
        assert client.bearer(tokens["portal"]).model.GetModel(GetModelRequest())
        refused = refusal(lambda: client.bearer("rtp_wrong").model.GetModel(GetModelRequest()))
        assert refused.reason == "TOKEN_UNKNOWN"


def test_the_metrics_have_the_same_certificate_and_ask_for_none(served: Any, site: Site) -> None:
    with served(**site.mutual, credentials=site.trusting(site.issue("portal"))) as client:
        assert "rtpredictor_ready 1.0" in site.scrape(client.metrics_port)
        with pytest.raises(OSError):  # noqa: PT011 - reset or bad status line
            client.scrape()


def test_a_silent_connection_does_not_keep_others_from_the_metrics(served: Any, site: Site) -> None:
    with served(**site.settings, credentials=site.trusting()) as client:
        silent = [socket.create_connection(("127.0.0.1", client.metrics_port)) for _ in range(3)]
        assert "rtpredictor_ready 1.0" in site.scrape(client.metrics_port)
        for one in silent:
            one.close()


def test_workers_and_the_metrics_of_all_have_the_same_security(
    start: Any, site: Site, access_file: Any, connect: Any, until: Any
) -> None:
    path, tokens = access_file(portal="predict")
    files = {f"RT_PREDICTOR_{name.upper()}": str(file) for name, file in site.settings.items()}
    service = start("--workers", "2", RT_PREDICTOR_ACCESS_FILE=str(path), **files)
    with connect(service.port, site.trusting()) as channel:
        ask = ModelServiceStub(channel).GetModel
        assert ask(GetModelRequest(), metadata=[("authorization", f"Bearer {tokens['portal']}")], timeout=10)
        with pytest.raises(grpc.RpcError) as caught:
            ask(GetModelRequest(), timeout=10)
    assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
    assert 'rtpredictor_calls_refused_total{reason="token_missing"} 1.0' in site.scrape(service.metrics_port)
    newest = site.install(site.issue())
    until(lambda: site.met(service.port) == newest, "the new certificate")
    assert site.met(service.metrics_port, "http/1.1") == newest
    assert service.end() == 0


def test_the_metrics_may_listen_elsewhere(served: Any) -> None:
    with served(metrics_host="127.0.0.2") as client:
        with urllib.request.urlopen(f"http://127.0.0.2:{client.metrics_port}/metrics", timeout=10) as answer:
            assert answer.status == 200
        with pytest.raises(OSError):  # noqa: PT011 - nobody listens there
            client.scrape()
