"""On a machine that systemd boots, the units do what the guide says: its words are run as they stand."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from booted import Machine, machine
from made import ROOT

pytestmark = [pytest.mark.offline, pytest.mark.timeout(900)]

GUIDE = (ROOT / "docs/how-to/run-without-a-network.md").read_text("utf-8")
BIN = "/opt/rt-predictor/bin"
SERVICES = ("rt-predictor-api", "rt-predictor-ui")
HEALTH = "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:8501/_stcore/health').read().decode())"
WARNING = 4
"""The journal's priority of a warning; what is worse has less."""


def told(heading: str) -> str:
    """Return the first commands under a heading of the guide."""
    return re.findall(r"^```\n(.*?)^```", GUIDE.partition(f"## {heading}\n")[2], re.MULTILINE | re.DOTALL)[0]


@pytest.fixture(scope="module")
def bare(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine with the bundle in root's home, as the guide says."""
    with machine(tmp_path_factory.mktemp("boot"), archive.parent) as booted:
        booted.run(f"ln -s /mnt/{archive.name}* .")
        yield booted


@pytest.fixture(scope="module")
def installed(bare: Machine, archive: Path) -> Machine:
    """The machine once the guide's commands have run on it."""
    of_guide = re.search(r"rt-predictor-[\w.-]+(?=\.tar\.gz)", told("Install"))
    assert of_guide
    bare.run(told("Install").replace(of_guide[0], archive.name.removesuffix(".tar.gz")))
    bare.run(told("Run by systemd"))
    return bare


@pytest.fixture
def there(installed: Machine) -> Machine:
    """The machine while its API serves."""
    serves(installed)
    return installed


def serves(there: Machine) -> None:
    there.until("the API serves", lambda: there.ask(f"{BIN}/rtp health").returncode == 0)


def shown(there: Machine, unit: str, name: str) -> str:
    return there.run(f"systemctl show --property={name} --value {unit}").strip()


def forecast(there: Machine) -> dict[str, object]:
    return dict(json.loads(there.run(f"{BIN}/rtp predict --user ada --time 02:00:00 --nodes 2 --json")))


def current(there: Machine) -> str:
    """Return the version of the model that answers."""
    (model,) = json.loads(there.run(f"{BIN}/rtp model --json"))["models"]
    return str(model["version"])


def troubles(there: Machine, unit: str) -> list[str]:
    """Return what the journal holds against the unit since it was last started."""
    run = shown(there, unit, "InvocationID")
    lines = there.run(f"journalctl -o json INVOCATION_ID={run} + _SYSTEMD_INVOCATION_ID={run}").splitlines()
    entries = [json.loads(line) for line in lines]
    assert entries
    bad = re.compile(r'Traceback|[Ww]arning|"level": "(warning|error)"')
    return [entry["MESSAGE"] for entry in entries if int(entry["PRIORITY"]) <= WARNING or bad.search(entry["MESSAGE"])]


def test_all_are_started_and_answer(there: Machine) -> None:
    assert there.run("ls /sys/class/net").split() == ["lo"]
    assert forecast(there)["forecast"]
    there.until("the pages answer", lambda: there.ask(f'python3 -c "{HEALTH}"').stdout == "ok\n")
    for unit in SERVICES:
        assert shown(there, unit, "UnitFileState") == "enabled"
        assert there.run(f"stat -c %U /proc/{shown(there, unit, 'MainPID')}").strip() == "rt-predictor"


def test_the_timer_is_armed(there: Machine) -> None:
    assert "Sun " in shown(there, "rt-predictor-training.timer", "NextElapseUSecRealtime")


def test_no_service_can_change_its_settings(there: Machine) -> None:
    assert there.run("stat -c '%U %G %a' /etc/rt-predictor").split() == ["root", "rt-predictor", "750"]


def test_training_publishes_a_model_that_is_served(there: Machine) -> None:
    before = current(there)
    there.run("install -o rt-predictor -m 640 /mnt/log.parquet /var/lib/rt-predictor/log/")
    settings = "LOG=/var/lib/rt-predictor/log/log.parquet\\nPROFILE=quick\\n"
    there.run(f"printf '{settings}' >/etc/rt-predictor/training.env; systemctl start rt-predictor-training")
    newest = max(there.run("ls /var/lib/rt-predictor/models").split())
    assert newest != before
    there.until("the new model answers", lambda: current(there) == newest)
    assert "published" in there.run("journalctl -o cat -u rt-predictor-training")


def test_nginx_stands_before_the_api_where_that_is_asked_for(there: Machine) -> None:
    there.run("echo RT_PREDICTOR_NGINX=true >>/etc/rt-predictor/api.env; systemctl restart rt-predictor-api")
    serves(there)
    assert forecast(there)["forecast"]
    owners = there.run("stat -c %U $(dirname $(grep -slx nginx /proc/[0-9]*/comm))").split()
    assert owners.count("rt-predictor") == 2, "its first process and the one that serves"


def test_nothing_is_amiss(there: Machine) -> None:
    assert there.run("systemctl is-system-running").strip() == "running"
    assert [trouble for unit in SERVICES for trouble in troubles(there, unit)] == []


def test_a_killed_service_comes_back(there: Machine) -> None:
    process, restarts = (shown(there, "rt-predictor-api", name) for name in ("MainPID", "NRestarts"))
    there.run("systemctl kill --signal=KILL rt-predictor-api")
    there.until("another process", lambda: shown(there, "rt-predictor-api", "MainPID") not in {process, "0"})
    serves(there)
    assert int(shown(there, "rt-predictor-api", "NRestarts")) == int(restarts) + 1
    assert forecast(there)["forecast"]


def test_a_stop_lets_calls_end_and_a_start_goes_on(there: Machine) -> None:
    there.run("systemctl stop rt-predictor-api rt-predictor-ui")
    for unit in SERVICES:
        assert (shown(there, unit, "ActiveState"), shown(there, unit, "Result")) == ("inactive", "success")
    events = re.findall(r'"event": "(\w+)"', there.run("journalctl -o cat -u rt-predictor-api"))
    assert events[-2:] == ["draining", "stopped"]
    there.run("systemctl start rt-predictor-api; systemctl restart rt-predictor-api rt-predictor-ui")
    serves(there)


@pytest.mark.parametrize(
    ("part", "setting", "status", "words"),
    [
        ("api", "RT_PREDICTOR_PORT=high", "78/CONFIG", r"RT_PREDICTOR_PORT.*\[SETTING_INVALID\]"),
        ("api", "RT_PREDICTOR_HOST=0.0.0.0", "78/CONFIG", r"RT_PREDICTOR_HOST.*\[INSECURE_LISTEN\]"),
        ("ui", "RT_PREDICTOR_UI_PORT=high", "2/INVALIDARGUMENT", r"server\.port.*high"),
        ("training", "LOG=/nowhere", "1/FAILURE", r"/nowhere.*\[LOG_MISSING\]"),
    ],
)
def test_a_wrong_setting_is_said_in_the_status(
    there: Machine, part: str, setting: str, status: str, words: str
) -> None:
    unit, file = f"rt-predictor-{part}", f"/etc/rt-predictor/{part}.env"
    there.ask(f"echo '{setting}' >{file}; systemctl restart {unit}")
    there.until(f"{unit} has failed", lambda: shown(there, unit, "ActiveState") == "failed")
    said = there.ask(f"systemctl status --no-pager --full {unit}").stdout
    assert f"status={status}" in said
    assert re.search(words, said), said
    there.run(f"rm {file}; systemctl reset-failed {unit}")
    if part != "training":
        there.run(f"systemctl start {unit}")
        there.until(f"{unit} is active", lambda: shown(there, unit, "ActiveState") == "active")
