"""The pages where a site asks who calls: tokens and TLS towards the service, a proxy towards the visitor."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from streamlit.testing.v1 import AppTest

Words = Callable[[AppTest], str]
TOKEN = "tok-3141592653589793"


@pytest.fixture
def secured(peer: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> trustme.CA:
    """Let the service speak TLS alone, and the pages know its authority and a token, by the client's variables."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    peer.stop()
    peer.port = 0
    peer.credentials = grpc.ssl_server_credentials([(issued.private_key_pem.bytes(), chain)])
    peer.start()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    (tmp_path / "token").write_text(TOKEN + "\n", encoding="utf-8")
    monkeypatch.setenv("RT_PREDICTOR_ADDRESS", f"127.0.0.1:{peer.port}")
    monkeypatch.setenv("RT_PREDICTOR_CA_FILE", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("RT_PREDICTOR_TOKEN_FILE", str(tmp_path / "token"))
    return authority


def test_tls_and_token_of_the_client_reach_the_pages_and_nobody_sees_the_token(
    secured: trustme.CA,
    peer: Any,
    page: AppTest,
    press: Any,
    field: Any,
    words: Words,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert secured
    caplog.set_level(logging.DEBUG)
    field(page, "User").input("ada")
    press(page, "Predict")
    said = words(page)
    assert "The service answers with a model of 100,000 jobs." in said
    assert "About 5 h" in said
    assert peer.tokens == {f"Bearer {TOKEN}"}
    assert TOKEN not in said + caplog.text
    assert TOKEN not in str(page.session_state)


def test_a_new_token_in_the_file_needs_no_restart(
    secured: trustme.CA, peer: Any, page: AppTest, tmp_path: Path
) -> None:
    assert secured
    assert peer.tokens == {f"Bearer {TOKEN}"}
    (tmp_path / "token").write_text("tok-next", encoding="utf-8")
    page.run()
    assert "Bearer tok-next" in peer.tokens


def test_a_token_in_clear_is_refused_and_not_shown(
    opened: AppTest, peer: Any, words: Words, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert peer.port
    monkeypatch.setenv("RT_PREDICTOR_ADDRESS", "predictor.example.org:50051")
    monkeypatch.setenv("RT_PREDICTOR_TOKEN", TOKEN)
    said = words(opened.run())
    assert "TOKEN_IN_CLEAR" in said
    assert TOKEN not in said


@pytest.fixture
def behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RT_PREDICTOR_USER_HEADER", "X-Forwarded-User")
    monkeypatch.setenv("RT_PREDICTOR_TRUSTED_PROXIES", "127.0.0.1")
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "")


@pytest.mark.usefixtures("behind")
def test_whom_the_proxy_does_not_name_sees_nothing(opened: AppTest, peer: Any, words: Words) -> None:
    said = words(opened.run())
    assert "NOT_SIGNED_IN" in said
    assert "The service answers" not in said
    assert not opened.button
    assert not peer.tokens
