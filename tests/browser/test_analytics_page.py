"""A person looks at what the service does now, in a browser."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from rt_predictor_client import Client

pytestmark = pytest.mark.browser

SLOW = 120_000
"""Longest wait for what a page shall show [ms]."""


def figure(page: Any, label: str) -> Any:
    return page.get_by_test_id("stMetric").filter(has_text=label).get_by_test_id("stMetricValue")


def height(found: Any) -> float:
    """Return where on the screen something begins."""
    return float(found.bounding_box()["y"])


def test_figures_move_by_themselves_and_what_is_read_stays_where_it_is(
    look: Any, site: Any, example: dict[str, Any]
) -> None:
    visit = look(height=500)
    page = visit.open("analytics", "Analytics")
    page.get_by_text("Told by http://localhost").wait_for(timeout=SLOW)
    with Client(f"localhost:{site.port}", timeout_seconds=60) as client:
        client.predict(example)  # after the first reading, so that it is counted between two
    expect(figure(page, "One job, p50")).to_have_text(re.compile(r"^[\d.]+ m?s$"), timeout=SLOW)
    expect(figure(page, re.compile("^Calls"))).to_have_text(re.compile(r"^[\d.]+/s$"), timeout=SLOW)
    page.locator("[aria-label^='Calls a second over ']").first.wait_for(timeout=SLOW)
    state = page.get_by_role("heading", name="State")
    state.evaluate("heading => heading.scrollIntoView({block: 'start'})")
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollTop") > 0
    before, told = height(state), page.get_by_text("Rates are those of the last ")
    for _ in range(2):
        expect(told).not_to_have_text(told.inner_text(), timeout=SLOW)
        # a table above it may have got a row: the browser scrolls by as much
        assert height(state) == pytest.approx(before, abs=1)
    expect(page.get_by_role("row").filter(has_text="Breaker of these pages")).to_contain_text("closed", timeout=SLOW)
    expect(page.get_by_role("row").filter(has_text="Takes calls")).to_contain_text("yes", timeout=SLOW)
    assert visit.complaints == []
    assert visit.foreign == []


def test_a_service_that_dies_is_told_and_its_figures_come_back(look: Any, site: Any) -> None:
    visit = look()
    page = visit.open("analytics", "Analytics")
    page.get_by_text("Told by http://localhost").wait_for(timeout=SLOW)
    site.api.kill()
    page.get_by_text("There are no figures until").wait_for(timeout=SLOW)
    page.get_by_text("see that the API runs").wait_for(timeout=SLOW)
    site.start_api()
    page.get_by_text("Told by http://localhost").wait_for(timeout=SLOW)
    expect(page.get_by_text("There are no figures until")).to_have_count(0, timeout=SLOW)
    assert visit.complaints == []
