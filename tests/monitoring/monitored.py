"""The files of ``monitoring/`` as tests see them, and the programs that judge them."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from rt_predictor_api.metrics import TABLE, Metrics

ROOT = Path(__file__).resolve().parents[2]
MONITORING = ROOT / "monitoring"
OF_PROMETHEUS = frozenset({"up"})
"""Series that Prometheus makes itself."""

_OPERATORS = frozenset({"and", "or", "unless", "bool", "offset", "by", "on", "ignoring", "group_left", "group_right"})
_NO_SERIES = re.compile(
    r'"(?:[^"\\]|\\.)*"|\{[^}]*\}|\[[^\]]*\]|\b(?:by|on|ignoring|without|group_left|group_right)\s*\([^)]*\)'
)


def program(name: str) -> str:
    """Return the path of ``prometheus`` or ``promtool``; skips the test where there is none."""
    taken = ROOT / ".cache/prometheus" / name
    # what the image holds runs on Linux alone
    found = str(taken) if sys.platform == "linux" and taken.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not here: make prometheus takes it from the image, or install Prometheus")
    return found


def groups() -> Iterator[dict[str, Any]]:
    """Yield all groups of rules."""
    for path in sorted(MONITORING.glob("rules/*.yml")):
        yield from yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]


def rules() -> list[dict[str, Any]]:
    """Return all rules, those that record and those that alert."""
    return [rule for group in groups() for rule in group["rules"]]


def alerts() -> dict[str, dict[str, Any]]:
    """Return the alerts by name."""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def recorded() -> set[str]:
    """Return the names of recorded series."""
    return {rule["record"] for rule in rules() if "record" in rule}


def dashboards() -> dict[str, dict[str, Any]]:
    """Return the dashboards by file name."""
    paths = sorted(MONITORING.glob("grafana/dashboards/*.json"))
    return {path.name: json.loads(path.read_text(encoding="utf-8")) for path in paths}


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the panels that show something, without the rows that head them."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


@cache
def labels_of() -> dict[str, frozenset[str]]:
    """Return each series that the service tells, with its labels."""
    told: dict[str, frozenset[str]] = {}
    for metric in TABLE:
        labels = frozenset(metric.labels)
        if metric.buckets:
            told |= {f"{metric.name}_{part}": labels for part in ("count", "sum")}
            told[f"{metric.name}_bucket"] = labels | {"le"}
        else:
            told[metric.name] = labels
    for family in Metrics().registry.collect():
        told |= {sample.name: frozenset(sample.labels) for sample in family.samples if sample.name not in told}
    return told


def series(query: str) -> set[str]:
    """Return the names of the series that a query reads."""
    bare = _NO_SERIES.sub(" ", re.sub(r"#.*", "", query))
    names = re.findall(r"(?<![\w:.])[a-zA-Z_:][\w:]*\b(?!\s*\()", bare)
    return set(names) - _OPERATORS


def unknown(query: str) -> set[str]:
    """Return the names in a query that neither the service nor a rule tells."""
    return series(query) - labels_of().keys() - recorded() - OF_PROMETHEUS
