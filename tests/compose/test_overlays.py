"""The overlays: more for a large machine, and encryption with tokens for everyone who asks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import trustme

from rt_predictor_client import Client, NotAllowed, Security, Unreachable
from stacks import JOB, Stack, docker, eventually, processes

pytestmark = [pytest.mark.compose, pytest.mark.timeout(900)]

NAME = "api.example.org"


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of certificates and tokens that the containers' user can read."""
    folder = tmp_path_factory.mktemp("secrets")
    authority = trustme.CA()
    leaf = authority.issue_cert(NAME)
    for part in ("service", "client"):
        (folder / part).mkdir()
    leaf.cert_chain_pems[0].write_to_path(folder / "service/cert.pem")
    leaf.private_key_pem.write_to_path(folder / "service/key.pem")
    authority.cert_pem.write_to_path(folder / "client/ca.pem")
    command = [Path(sys.executable).parent / "rt-predictor-api", "token", "pages", "--scope", "predict"]
    made = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    token, line = (said.partition(": ")[2] for said in made.splitlines())
    (folder / "client/token").write_text(token, encoding="utf-8")
    (folder / "service/access").write_text(line + "\n", encoding="utf-8")
    for path in folder.glob("*/*"):
        path.chmod(0o644)
    return folder


def test_both_overlays_at_once(stack: Stack, secrets: Path) -> None:
    more = {"PROFILE": "m2max", "RT_PREDICTOR_SECRETS": str(secrets), "RT_PREDICTOR_SERVER_NAME": NAME}
    stack.made("start", **more)
    try:
        limits = {
            name: docker("inspect", "-f", "{{.HostConfig.Memory}}", stack.container(name)) for name in ("api", "ui")
        }
        assert limits == {"api": str(8 << 30), "ui": str(4 << 30)}
        state = "{{.State.Health.Status}}"
        eventually(lambda: docker("inspect", "-f", state, stack.container("api")), lambda seen: seen == "healthy")
        assert stack.made("status", **more).count(": runs") == 4
        assert processes(stack.container("api"), "nginx"), "encryption ends there"
        assert "The service answers" in stack.page()
        eventually(lambda: stack.query('up{job="rt-predictor-api",instance="api:8181"} == 1'))

        token = (secrets / "client/token").read_text(encoding="utf-8")
        address, known = f"localhost:{stack.port}", {"ca_file": str(secrets / "client/ca.pem"), "server_name": NAME}
        with Client(address, security=Security(token=token, **known), breaker=None) as client:
            assert client.predict(JOB).median_seconds > 0
        with Client(address, security=Security(**known), breaker=None) as client, pytest.raises(NotAllowed):
            client.predict(JOB)
        with Client(address, breaker=None) as client, pytest.raises(Unreachable):
            client.predict(JOB)
    finally:
        stack.made("start")


def test_a_secret_that_lacks_is_named_before_anything_is_started(stack: Stack, tmp_path: Path) -> None:
    done = stack.make("start", RT_PREDICTOR_SECRETS=str(tmp_path))
    assert done.returncode != 0
    assert done.stderr.splitlines()[0].startswith(f"error: {tmp_path}/service/cert.pem: not there; ")
