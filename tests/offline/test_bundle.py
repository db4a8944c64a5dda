"""A bundle installs, serves and predicts where there is no network at all."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from made import run

pytestmark = [pytest.mark.offline, pytest.mark.timeout(900)]

SCRIPT = """
import fcntl, json, os, pathlib, socket, struct, subprocess, sys, time

bundle, prefix, state = map(pathlib.Path, sys.argv[1:])
try:
    socket.create_connection(("192.0.2.1", 80), timeout=2)
except OSError as error:
    print(json.dumps({"network": str(error)}))
subprocess.run(
    [bundle / "install.sh", "--prefix", prefix, "--parts", "api client"], check=True, stdout=sys.stderr
)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:  # loopback is down in a new namespace: SIOCSIFFLAGS
    fcntl.ioctl(own, 0x8914, struct.pack("16sH14x", b"lo", 0x1 | 0x40))
clean = {name: value for name, value in os.environ.items() if not name.startswith(("RT_PREDICTOR_", "PYTHON"))}
service = subprocess.Popen(
    [prefix / "bin/rt-predictor-api", "--models", bundle / "models", "--history", state], env=clean, stdout=sys.stderr
)
try:
    deadline = time.monotonic() + 300
    while subprocess.run([prefix / "bin/rtp", "health"], env=clean, stdout=sys.stderr).returncode:
        assert service.poll() is None, "the service ended"
        assert time.monotonic() < deadline, "the service does not answer"
        time.sleep(0.5)
    flags = ["--user", "ada", "--time", "02:00:00", "--nodes", "2"]
    told = subprocess.run(
        [prefix / "bin/rtp", "predict", *flags, "--json"], env=clean, check=True, stdout=subprocess.PIPE
    )
    print(json.dumps(json.loads(told.stdout)))
finally:
    service.terminate()
    service.wait(60)
"""


def test_it_installs_serves_and_predicts_without_a_network(bundle: Path, tmp_path: Path) -> None:
    alone = ["unshare", "--map-root-user", "--net"]
    if run(*alone, "true").returncode:
        pytest.skip("this machine lets nobody make a network namespace")
    done = run(*alone, sys.executable, "-c", SCRIPT, bundle, tmp_path / "opt/rt-predictor", tmp_path / "history")
    assert done.returncode == 0, done.stderr[-4000:]
    before, told = map(json.loads, done.stdout.splitlines())
    assert "unreachable" in before["network"], "the namespace has a network"
    assert told["forecast"]["recommended_seconds"] > 0
    # what runs is what was installed, and the tree of the sources is not
    origin = run(
        tmp_path / "opt/rt-predictor/bin/python",
        "-I",
        "-c",
        "import rt_predictor_api; print(rt_predictor_api.__file__)",
    )
    assert Path(origin.stdout.strip()).is_relative_to(tmp_path), origin.stderr


def test_a_changed_file_is_found_before_anything_is_installed(bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(bundle, tmp_path / "spoilt", copy_function=os.link)
    wheel = next((tmp_path / "spoilt/own").glob("rt_predictor_api-*.whl"))
    content = bytearray(wheel.read_bytes())
    content[100] ^= 1
    wheel.unlink()
    wheel.write_bytes(content)
    done = run(tmp_path / "spoilt/install.sh", "--prefix", tmp_path / "opt")
    assert done.returncode == 1
    assert "SHA256SUMS" in done.stderr
    assert not list(tmp_path.glob("opt*"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--parts", "gui"), "not in this bundle"),
        (("--no-such",), "unknown option"),
        (("--prefix", "/proc/x"), "/proc"),
    ],
)
def test_what_cannot_be_is_said(bundle: Path, arguments: tuple[str, ...], words: str) -> None:
    done = run(bundle / "install.sh", *arguments)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert words in done.stderr


def test_the_wheels_are_those_of_any_patch_release(bundle: Path) -> None:
    bounded = re.findall(
        r"^([\w-]+)==\S+ ;.*python_full_version",
        "\n".join(path.read_text("utf-8") for path in (bundle / "requirements").iterdir()),
        re.MULTILINE,
    )
    assert bounded, "no library depends on the patch release any more: leave out what bundle.sh does about it"
    assert [name for name in bounded if not list((bundle / "wheels").glob(f"{name.replace('-', '_')}-*.whl"))] == []


def test_another_python_is_refused(bundle: Path, tmp_path: Path) -> None:
    other = tmp_path / "python"
    other.write_text("#!/bin/sh\ncase $1 in -c) echo linux-x86_64-python3.99 ;; esac\n")
    other.chmod(0o755)
    done = run(bundle / "install.sh", "--prefix", tmp_path / "opt", env=os.environ | {"PYTHON": str(other)})
    assert done.returncode == 1
    assert "python3.99" in done.stderr


def test_a_folder_of_something_else_stays(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "opt").mkdir()
    (tmp_path / "opt/mine").touch()
    done = run(bundle / "install.sh", "--prefix", tmp_path / "opt")
    assert done.returncode == 1
    assert [path.name for path in tmp_path.iterdir()] == ["opt"]
