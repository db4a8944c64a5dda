"""The units are such as systemd takes, confined, and set what the programs read."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rt_predictor_api.main import MISCONFIGURED
from rt_predictor_api.settings import Settings, variable

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
UNITS = sorted((ROOT / "systemd").glob("*.service")) + sorted((ROOT / "systemd").glob("*.timer"))
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
MOST_EXPOSED = 17
"""Tenths of what ``systemd-analyze security`` calls exposure, of 100."""

OF_OTHERS = {"NUMBA_CACHE_DIR", "MPLCONFIGDIR", "OMP_WAIT_POLICY", "HOME", "FORWARDED_ALLOW_IPS"}
"""What the libraries and the system read."""

EVERY_SERVICE = pytest.mark.parametrize("unit", SERVICES, ids=lambda path: path.stem)


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here: install systemd")
    return subprocess.run(["systemd-analyze", *map(str, arguments)], capture_output=True, text=True, check=False)


def settings(unit: Path) -> dict[str, str]:
    """Return the variables that a unit sets."""
    lines = re.findall(r"^Environment=(.*)$", unit.read_text("utf-8"), re.MULTILINE)
    return dict(pair.split("=", 1) for line in lines for pair in shlex.split(line))


def command(unit: Path) -> list[str]:
    """Return what a unit starts, with its variables."""
    (line,) = re.findall(r"^ExecStart=(.*)$", unit.read_text("utf-8"), re.MULTILINE)
    for name, value in settings(unit).items():
        line = line.replace(f"${{{name}}}", value)
    return shlex.split(line)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units with the programs of this environment."""
    for unit in UNITS:
        text = unit.read_text("utf-8").replace("/opt/rt-predictor/bin", str(BIN))
        (tmp_path / unit.name).write_text(text, "utf-8")
    return tmp_path


def test_systemd_takes_all_units(installed: Path) -> None:
    done = analyze("verify", "--man=no", *(installed / unit.name for unit in UNITS))
    ours = [line for line in done.stderr.splitlines() if "rt-predictor" in line]
    assert (done.returncode, ours) == (0, [])


def test_an_unknown_key_is_found(installed: Path) -> None:
    unit = installed / "rt-predictor-api.service"
    unit.write_text(unit.read_text("utf-8").replace("NoNewPrivileges=", "NoNewPriviliges="), "utf-8")
    assert "NoNewPriviliges" in analyze("verify", "--man=no", unit).stderr


@EVERY_SERVICE
def test_a_service_is_confined(unit: Path, installed: Path) -> None:
    threshold = f"--threshold={MOST_EXPOSED}"
    done = analyze("security", "--offline=true", threshold, "--no-pager", installed / unit.name)
    assert done.returncode == 0, done.stdout[-300:] + done.stderr


def test_a_service_that_is_not_confined_is_found(installed: Path) -> None:
    unit = installed / "rt-predictor-api.service"
    unit.write_text(re.sub(r"^(Protect|Private|Restrict|System|Capab).*\n", "", unit.read_text(), flags=re.MULTILINE))
    assert analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager", unit).returncode != 0


@EVERY_SERVICE
def test_a_service_runs_a_program_that_is_installed_as_the_user_that_is_made(unit: Path) -> None:
    text = unit.read_text("utf-8")
    assert Path(command(unit)[0]).parent == Path("/opt/rt-predictor/bin")
    assert (BIN / Path(command(unit)[0]).name).exists()
    assert "User=rt-predictor\n" in text
    assert (ROOT / "systemd/rt-predictor.sysusers").read_text("utf-8").startswith("u rt-predictor ")


@EVERY_SERVICE
def test_a_service_sets_what_its_program_reads(unit: Path) -> None:
    known = {variable(name) for name in Settings.model_fields} | OF_OTHERS | {"RT_PREDICTOR_ADDRESS"}
    started = unit.read_text("utf-8").partition("ExecStart=")[2].splitlines()[0]
    unread = [name for name in settings(unit) if name not in known and f"${{{name}}}" not in started]
    assert [name for name in unread if not name.startswith("STREAMLIT_")] == []


def snake(key: str) -> str:
    """Return the end of the variable for one of Streamlit's options, such as ``server.fileWatcherType``."""
    return re.sub(r"([A-Z])", r"_\1", key).replace(".", "_").upper()


def test_what_streamlit_is_told_are_options_of_streamlit() -> None:
    from streamlit.config import get_config_options

    known = {f"STREAMLIT_{snake(key)}" for key in get_config_options()}
    told = {name for name in settings(ROOT / "systemd/rt-predictor-ui.service") if name.startswith("STREAMLIT_")}
    assert told
    assert told <= known


def test_the_training_unit_starts_training_with_options_that_it_has() -> None:
    words = command(ROOT / "systemd/rt-predictor-training.service")
    listing = subprocess.run(
        [BIN / Path(words[0]).name, "--help"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert [word for word in words[1:] if word.startswith("--") and f"{word} " not in listing] == []


def test_a_service_with_a_wrong_setting_is_not_started_again() -> None:
    text = (ROOT / "systemd/rt-predictor-api.service").read_text("utf-8")
    assert f"RestartPreventExitStatus={MISCONFIGURED}\n" in text


def test_the_service_has_as_long_to_end_as_its_calls_may_take() -> None:
    text = (ROOT / "systemd/rt-predictor-api.service").read_text("utf-8")
    (seconds,) = re.findall(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)
    assert int(seconds) > Settings().drain_seconds + 5
