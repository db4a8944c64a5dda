"""What the Compose files say: by the schema of their specification, documented, hardened, and nothing twice."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from rt_predictor_api.settings import Settings, variable
from rt_predictor_client.config import _OPTIONS
from rt_predictor_client.config import variable as client_variable
from rt_predictor_training.profiles import load_profile

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(ROOT.glob("docker-compose*.yml"))
BASE = ROOT / "docker-compose.yml"
OVERLAYS = [path for path in FILES if path != BASE]
FIXED = {"models", "history", "host", "port", "metrics_port", "metrics_host", "redis_url"}
"""Settings that the image or the Compose file decides, besides those of security."""
SECURITY = {"tls_cert", "tls_key", "tls_client_ca", "access_file"}
INTERPOLATED = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


@cache
def read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


@cache
def documented() -> dict[str, str]:
    """Return the variables of .env.example with their defaults."""
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    return dict(re.findall(r"^#([A-Z_]+)=(.*)$", text, re.MULTILINE))


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = read(BASE)["services"]
    return found


def validated(path: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / "check-jsonschema"
    command = [program, "--builtin-schema", "vendor.compose-spec", path]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_fits_the_schema_of_the_compose_specification(path: Path) -> None:
    done = validated(path)
    assert done.returncode == 0, done.stdout


def test_the_schema_finds_a_wrong_word(tmp_path: Path) -> None:
    wrong = tmp_path / "docker-compose.yml"
    wrong.write_text(BASE.read_text(encoding="utf-8").replace("cap_drop", "cap_dropp"), encoding="utf-8")
    done = validated(wrong)
    assert done.returncode == 1
    assert "cap_dropp" in done.stdout


@pytest.mark.parametrize("overlay", [None, *OVERLAYS], ids=lambda path: path.name if path else "alone")
def test_compose_itself_reads_the_files(overlay: Path | None) -> None:
    program = shutil.which("docker-compose")
    if program is None:
        pytest.skip("docker-compose is not here")
    files = [word for path in filter(None, (BASE, overlay)) for word in ("-f", str(path))]
    environment = os.environ | {"RT_PREDICTOR_SECRETS": "/secrets"}
    command = [program, *files, "--profile", "replicas", "--profile", "training", "config", "-q"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_each_variable_is_documented_with_its_default(path: Path) -> None:
    found = INTERPOLATED.findall(path.read_text(encoding="utf-8"))
    assert found or path != BASE
    own = {
        "RT_PREDICTOR_SERVER_NAME": "localhost",  # where certificates are asked for, there is a name
        "RT_PREDICTOR_NGINX": "true",  # as the image
    }
    assert [(name, default) for name, default in found if (documented() | own).get(name) != default] == []


def test_each_variable_that_is_passed_on_is_documented() -> None:
    passed = {
        name
        for service in services().values()
        for name, value in service.get("environment", {}).items()
        if value is None
    }
    assert len(passed) > len(FIXED)
    assert passed - documented().keys() == set()


@pytest.mark.parametrize("service", ["api", "replica"])
def test_each_setting_of_the_api_reaches_its_container(service: str) -> None:
    environment = services()[service]["environment"].keys()
    wanted = {variable(name) for name in Settings.model_fields.keys() - FIXED - SECURITY}
    assert wanted - environment == set()
    assert environment - wanted == {variable("redis_url")}


def test_each_variable_of_the_scripts_and_of_the_client_is_documented() -> None:
    scripts = [*ROOT.glob("scripts/*.sh"), ROOT / "quickstart.sh", ROOT / "Makefile"]
    named = {name for path in scripts for name in re.findall(r"\bRT_PREDICTOR_\w+", path.read_text(encoding="utf-8"))}
    named |= {client_variable(name) for name in _OPTIONS}
    assert named - documented().keys() == set()


@pytest.mark.parametrize("name", services())
def test_a_service_may_do_no_more_than_it_must(name: str) -> None:
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["pids_limit"] > 0
    assert service["mem_limit"]
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert service["restart"] == ("no" if name == "training" else "unless-stopped")
    assert re.search(r":[^:]*\d", service["image"]), "an image without a version"
    assert "privileged" not in service


@pytest.mark.parametrize("name", services())
def test_a_port_is_published_on_this_machine_alone_unless_told_otherwise(name: str) -> None:
    for port in services()[name].get("ports", ()):
        assert port.startswith("${RT_PREDICTOR_BIND:-127.0.0.1}:")


def test_each_service_that_lasts_says_whether_it_is_ready() -> None:
    own = {"api", "replica", "ui"}  # their images do
    without = {name for name, service in services().items() if "healthcheck" not in service}
    assert without == own | {"training", "grafana"}
    for name in ("api", "ui"):
        assert "\nHEALTHCHECK " in (ROOT / f"rt-predictor-{name}/Dockerfile").read_text(encoding="utf-8")


def test_calls_may_end_before_a_container_is_killed() -> None:
    grace = float(services()["api"]["stop_grace_period"].removesuffix("s"))
    assert grace > Settings().drain_seconds


@pytest.mark.parametrize("path", OVERLAYS, ids=lambda path: path.name)
def test_an_overlay_says_only_what_differs(path: Path) -> None:
    for name, service in read(path)["services"].items():
        for key, value in service.items():
            assert services()[name].get(key) != value, (name, key)
            if isinstance(value, dict):
                assert value.items() & services()[name].get(key, {}).items() == set(), (name, key)


def test_the_large_machine_has_ten_cores_its_memory_and_its_profile() -> None:
    overlay = read(ROOT / "docker-compose.m2max.yml")["services"]
    memory = {name: service["mem_limit"] for name, service in overlay.items()}
    assert memory == {"training": "48g", "api": "8g", "replica": "8g", "ui": "4g"}
    assert overlay["training"]["cpus"] == "${RT_PREDICTOR_TRAINING_CPUS:-10}"
    profile = load_profile(overlay["training"]["environment"]["RT_PREDICTOR_PROFILE"])
    assert (profile.chunk_rows, profile.threads, profile.memory_gib) == (500_000, 10, 48)


@pytest.mark.parametrize(
    ("name", "own"), [("secure", {"scheme", "tls_config"}), ("replicas", {"static_configs", "dns_sd_configs"})]
)
def test_prometheus_is_told_the_same_in_each_way(name: str, own: set[str]) -> None:
    plain, other = (read(ROOT / f"monitoring/{one}.yml") for one in ("prometheus", f"prometheus.{name}"))

    def common(document: dict[str, Any]) -> dict[str, Any]:
        api, *others = document["scrape_configs"]
        bare = {key: value for key, value in api.items() if key not in own}
        return document | {"scrape_configs": [bare, *others]}

    assert common(other) == common(plain)
    assert other != plain
