"""What a container's health check says: ready with a model, however the service is protected, and not before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trustme

from rt_predictor_api import metrics, readiness
from rt_predictor_api.settings import read
from rt_predictor_formats.errors import Problem


def asked(client: Any, **settings: Any) -> None:
    readiness.check(read({"port": client.port, "metrics_port": client.metrics_port, **settings}))


def refusal(client: Any, **settings: Any) -> str:
    with pytest.raises(Problem) as caught:
        asked(client, **settings)
    assert caught.value.code == "NOT_READY"
    return str(caught.value)


def test_a_service_with_a_model_is_ready_wherever_it_listens(client: Any) -> None:
    asked(client)
    asked(client, host="0.0.0.0", allow_insecure=True)  # noqa: S104


def test_a_service_without_a_model_is_not_ready(served: Any, tmp_path: Path) -> None:
    with served(models=tmp_path / "none", wait_for_model=True) as waiting:
        assert "no model" in refusal(waiting)


def test_a_service_that_is_ending_is_not_ready(served: Any) -> None:
    with served() as ending:
        asked(ending)
    assert f"127.0.0.1:{ending.port}" in refusal(ending)


def test_a_service_that_wants_certificates_and_tokens_is_ready(served: Any, tmp_path: Path, until: Any) -> None:
    authority = trustme.CA()
    leaf = authority.issue_cert("api.example.org")
    paths = {name: tmp_path / f"{name}.pem" for name in ("tls_cert", "tls_key", "tls_client_ca")}
    leaf.cert_chain_pems[0].write_to_path(paths["tls_cert"])
    leaf.private_key_pem.write_to_path(paths["tls_key"])
    authority.cert_pem.write_to_path(paths["tls_client_ca"])

    def ready(client: Any) -> bool:
        try:
            asked(client, **paths)
        except Problem:
            return False
        return True

    # no client can connect that has no certificate, so the fixture's own does not wait for it
    with served(**paths, wait_for_model=True) as protected:
        until(lambda: ready(protected), "the check to pass")
        assert "127.0.0.1" in refusal(protected), "plain text must not be taken for an answer"


def test_the_check_is_light_and_knows_the_name() -> None:
    assert metrics.READY.name == readiness.READY
    look = "import sys; from rt_predictor_api import main, readiness; print(*{'numba', 'grpc'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [], "an engine asks every few seconds"


def test_the_command_says_why_in_a_line(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "rt_predictor_api", "ready"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: 127.0.0.1:0: ")
    assert done.stderr.endswith("[NOT_READY]\n")
