"""Dashboards that Grafana can read, in one shape, whose panels say what they show."""

from __future__ import annotations

import json
from itertools import combinations
from typing import Any

import pytest
import yaml

import monitored
from rt_predictor_api.metrics import TABLE
from rt_predictor_ui.analytics.prometheus import NOW, TREND, together

DASHBOARDS = monitored.dashboards()
PANELS = [(name, panel) for name, dashboard in DASHBOARDS.items() for panel in monitored.panels(dashboard)]
EVERY_DASHBOARD = pytest.mark.parametrize("name", DASHBOARDS)
EVERY_PANEL = pytest.mark.parametrize("panel", [panel for _, panel in PANELS], ids=[p["title"] for _, p in PANELS])
UNITS = {"none", "short", "s", "bytes", "percentunit", "reqps", "rowsps", "cps"}
"""Units of Grafana that panels use; an unknown one would be shown as text."""
COLUMNS = 24


def provisioned(what: str) -> dict[str, Any]:
    (path,) = (monitored.MONITORING / "grafana/provisioning" / what).glob("*.yml")
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return (
        one["x"] < other["x"] + other["w"]
        and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"]
        and other["y"] < one["y"] + one["h"]
    )


def test_each_dashboard_has_an_identity_of_its_own() -> None:
    assert DASHBOARDS.keys() == {"service.json", "model-quality.json", "training.json"}
    for what in ("uid", "title"):
        assert len({dashboard[what] for dashboard in DASHBOARDS.values()}) == len(DASHBOARDS)
    assert all("id" not in dashboard for dashboard in DASHBOARDS.values()), "Grafana gives it"


@EVERY_DASHBOARD
def test_a_dashboard_is_written_in_one_form(name: str) -> None:
    text = (monitored.MONITORING / "grafana/dashboards" / name).read_text(encoding="utf-8")
    assert text == json.dumps(DASHBOARDS[name], indent=2, ensure_ascii=False) + "\n"


@EVERY_DASHBOARD
def test_panels_have_ids_and_titles_of_their_own(name: str) -> None:
    panels = DASHBOARDS[name]["panels"]
    for what in ("id", "title"):
        assert len({panel[what] for panel in panels}) == len(panels)


@EVERY_DASHBOARD
def test_panels_lie_beside_each_other(name: str) -> None:
    places = [panel["gridPos"] for panel in DASHBOARDS[name]["panels"]]
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= COLUMNS for place in places)
    assert [pair for pair in combinations(places, 2) if overlap(*pair)] == []


@EVERY_PANEL
def test_a_panel_says_what_it_shows_and_in_which_unit(panel: dict[str, Any]) -> None:
    assert panel["type"] in {"stat", "timeseries"}
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS


@EVERY_PANEL
def test_a_panel_asks_the_provisioned_source_for_what_is_told(panel: dict[str, Any]) -> None:
    (source,) = provisioned("datasources")["datasources"]
    wanted = {"type": source["type"], "uid": source["uid"]}
    assert panel["datasource"] == wanted
    targets = panel["targets"]
    assert [target["refId"] for target in targets] == [chr(ord("A") + place) for place in range(len(targets))]
    for target in targets:
        assert target["datasource"] == wanted
        assert target["legendFormat"]
        assert monitored.series(target["expr"])
        assert monitored.unknown(target["expr"]) == set()


def test_the_analytics_page_asks_for_what_is_told() -> None:
    for query in (*NOW.values(), *TREND.values()):
        assert monitored.unknown(together({"one": query}, "rt")) == set()


def test_each_metric_is_in_a_rule_or_a_panel() -> None:
    queries = [rule["expr"] for rule in monitored.rules()]
    queries += [target["expr"] for _, panel in PANELS for target in panel["targets"]]
    read = set().union(*map(monitored.series, queries))
    parts = ("", "_bucket", "_count", "_sum")
    assert [metric.name for metric in TABLE if not read & {metric.name + part for part in parts}] == []


def test_each_recorded_series_is_read() -> None:
    queries = [rule["expr"] for rule in monitored.rules()]
    queries += [target["expr"] for _, panel in PANELS for target in panel["targets"]]
    assert monitored.recorded() - set().union(*map(monitored.series, queries)) == set()
