"""Rules that Prometheus takes, alerts that fire when they should and are silent when they should be."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

import monitored
from rt_predictor_api.metrics import KNOWN_LABELS, TABLE

TESTS = sorted(monitored.MONITORING.glob("tests/*.yml"))
ALERTS = monitored.alerts()
PARTS = ["What it means", "How to look", "What to do"]
EVERY_ALERT = pytest.mark.parametrize("alert", ALERTS)
FILES = pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)


def promtool(*arguments: str | Path) -> str:
    command = [monitored.program("promtool"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def cases(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]
    return found


def test_prometheus_takes_the_rules() -> None:
    said = promtool("check", "rules", "--lint=all", "--lint-fatal", *sorted(monitored.MONITORING.glob("rules/*.yml")))
    assert said.count("SUCCESS") == len(list(monitored.MONITORING.glob("rules/*.yml")))


@pytest.mark.timeout(600)  # days of samples
@FILES
def test_alerts_fire_and_are_silent(path: Path) -> None:
    assert "SUCCESS" in promtool("test", "rules", path)


@EVERY_ALERT
def test_an_alert_is_tested_firing_and_silent(alert: str) -> None:
    tests = [test for path in TESTS for case in cases(path) for test in case.get("alert_rule_test", ())]
    fires = {bool(test["exp_alerts"]) for test in tests if test["alertname"] == alert}
    assert fires == {True, False}


@FILES
def test_tests_are_fed_with_series_that_the_service_tells(path: Path) -> None:
    known = {metric.name: set(values) for metric, values in KNOWN_LABELS.items()}
    order = {metric.name: metric.labels for metric in TABLE}
    for text in (fed["series"] for case in cases(path) for fed in case["input_series"]):
        name, _, inside = text.partition("{")
        labels = dict(re.findall(r'(\w+)="([^"]*)"', inside))
        own = labels.keys() - {"job", "instance"}
        assert own == (monitored.labels_of() | {"up": frozenset()})[name], text
        if name in known:
            assert tuple(labels[label] for label in order[name]) in known[name], text


@EVERY_ALERT
def test_an_alert_says_how_urgent_it_is_what_it_is_and_where_to_read_on(alert: str) -> None:
    rule = ALERTS[alert]
    assert alert.startswith("RtPredictor")
    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"docs/runbooks/{alert}.md"


@EVERY_ALERT
def test_an_alert_has_a_runbook(alert: str) -> None:
    text = (monitored.ROOT / f"docs/runbooks/{alert}.md").read_text(encoding="utf-8")
    assert text.startswith(f"# {alert}\n")
    assert re.findall(r"^## (.*)", text, re.MULTILINE) == PARTS


def test_there_is_no_runbook_without_an_alert() -> None:
    pages = {path.stem for path in (monitored.ROOT / "docs/runbooks").glob("*.md")}
    assert pages == set(ALERTS)


def test_the_guide_lists_each_alert_and_how_urgent_it_is() -> None:
    guide = (monitored.ROOT / "docs/how-to/monitor-the-service.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| \[(\w+)\]\(\.\./runbooks/\1\.md\) \| (\w+) \|", guide, re.MULTILINE)
    assert len(listed) == len(ALERTS)
    assert dict(listed) == {name: rule["labels"]["severity"] for name, rule in ALERTS.items()}


def test_compose_mounts_files_that_exist_where_the_configuration_looks_for_them() -> None:
    compose = yaml.safe_load((monitored.ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    volumes = [volume for name in ("prometheus", "grafana") for volume in compose["services"][name]["volumes"]]
    bound = dict(volume.split(":")[:2] for volume in volumes if volume.startswith("./"))
    # the engine would make a missing one, as an empty folder
    assert [path for path in bound if not (monitored.ROOT / path).exists()] == []
    config = yaml.safe_load((monitored.MONITORING / "prometheus.yml").read_text(encoding="utf-8"))
    assert bound["./monitoring/rules"] == "/etc/prometheus/rules"
    assert config["rule_files"] == ["rules/*.yml"]
    (path,) = (monitored.MONITORING / "grafana/provisioning/dashboards").glob("*.yml")
    (provider,) = yaml.safe_load(path.read_text(encoding="utf-8"))["providers"]
    assert bound["./monitoring/grafana/dashboards"] == provider["options"]["path"]


def begins_a_name(beginning: str) -> bool:
    """Tell whether a command that looks for this finds something."""
    return any(name.startswith(beginning) for name in monitored.labels_of())


def test_runbooks_name_metrics_and_settings_that_exist() -> None:
    from rt_predictor_api.settings import Settings

    settings = (monitored.ROOT / "docs/reference/settings.md").read_text(encoding="utf-8")
    for path in (monitored.ROOT / "docs/runbooks").glob("*.md"):
        text = path.read_text(encoding="utf-8")
        assert [name for name in re.findall(r"RT_PREDICTOR_\w+", text) if f"`{name}`" not in settings] == [], path
        named = re.findall(r"rtpredictor_[a-z_]+", text)
        assert [name for name in named if not begins_a_name(name)] == [], path
    assert Settings().max_active_calls == 16, "CallsQueue counts on it"


@pytest.mark.parametrize("rule", monitored.rules(), ids=lambda rule: rule.get("record") or rule["alert"])
def test_a_rule_reads_what_is_told(rule: dict[str, Any]) -> None:
    assert monitored.series(rule["expr"])
    assert monitored.unknown(rule["expr"]) == set()


def test_what_is_no_metric_is_found_out() -> None:
    query = 'sum by (job) (rate(rtpredictor_no_such_total{rpc="up"}[5m])) / on (job) up > 0 and job:no_such:rate5m'
    assert monitored.unknown(query) == {"rtpredictor_no_such_total", "job:no_such:rate5m"}
