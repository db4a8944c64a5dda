"""API and UI as processes of this machine, by the script behind ``make start LOCAL=1``."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from free_ports import free_port

from rt_predictor_api.front import nginx

ROOT = Path(__file__).resolve().parents[2]
DEADLINE = 240.0
"""How long one action may take [s]; the first start compiles the kernels."""

Local = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def local(tmp_path: Path, models: Path, environment: dict[str, str]) -> Iterator[Local]:
    """Return what runs the script in a tree of its own, which has what it needs of ours."""
    for name, target in (("scripts", ROOT / "scripts"), (".venv", Path(sys.prefix))):
        (tmp_path / name).symlink_to(target)
    (tmp_path / "rt-predictor-ui").symlink_to(ROOT / "rt-predictor-ui")
    ports = {f"RT_PREDICTOR_{name}PORT": str(free_port()) for name in ("", "METRICS_", "UI_")}
    chosen = {**environment, **ports, "RT_PREDICTOR_MODELS": str(models)}

    def run(action: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = ["bash", str(tmp_path / "scripts/local.sh"), action]
        # what goes on in the background would keep a pipe open
        with (tmp_path / "said.txt").open("w+", encoding="utf-8") as said:
            done = subprocess.run(
                command, env={**chosen, **more}, stdout=said, stderr=said, timeout=DEADLINE, check=False
            )
            said.seek(0)
            return subprocess.CompletedProcess(command, done.returncode, said.read())

    yield run
    run("stop")


@pytest.mark.parametrize("chosen", ["", "false"])
def test_they_start_with_nginx_where_it_is_at_hand_and_not_unwanted(tmp_path: Path, local: Local, chosen: str) -> None:
    wanted = bool(nginx.program()) and not chosen
    begun = local("start", RT_PREDICTOR_NGINX=chosen)
    assert (begun.returncode, begun.stdout) == (0, "API and UI run\n")
    api = psutil.Process(int((tmp_path / "run/api.pid").read_text("utf-8")))
    assert [child.name() for child in api.children()].count("nginx") == wanted
    status = local("status")
    assert status.returncode == 0, status.stdout
    assert f"api: runs (process {api.pid})" in status.stdout
    assert local("start").stdout == "API and UI run already\n"
    ended = local("stop")
    assert (ended.returncode, ended.stdout) == (0, "ui: stopped\napi: stopped\n")
    assert local("status").returncode == 1
