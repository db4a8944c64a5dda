"""What holds for every page: it fits a telephone, a keyboard gets there, and a scan finds no barrier."""

from __future__ import annotations

import time
from typing import Any

import pytest

pytestmark = pytest.mark.browser

SLOW = 120_000
"""Longest wait for what a page shall show [ms]."""

PAGES = {
    "": "How long will this job run?",
    "batch": "Forecast many jobs",
    "model": "Model performance",
    "history": "History",
    "analytics": "Analytics",
}
FIT = """([parts, most]) => {
    const edges = [...document.querySelectorAll(parts)].map(one => one.getBoundingClientRect().right)
    return edges.length > 0 && Math.max(...edges) <= most
}"""
"""Whether a page has some of the parts, and all of them end within a width [px]."""


def settled(look: Any, path: str, example: dict[str, Any], report: Any, **tab: Any) -> Any:
    """Open a page with something on it."""
    visit = look(**tab)
    if path == "history":
        report(str(example["user"]), 5)
    query = f"?user={example['user']}&time=1-00:00:00&nodes=4" if not path else ""
    page = visit.open(f"{path}{query}", PAGES[path])
    page.get_by_text("The service answers with a model of").wait_for(timeout=SLOW)
    if path == "":
        page.get_by_role("button", name="Predict", exact=True).click()
        page.locator("[aria-label^='Run time: median ']").first.wait_for(timeout=SLOW)
        page.get_by_text("Based on").or_(page.get_by_text("Cold start")).first.wait_for(timeout=SLOW)
        page.get_by_text("Why: what moves").click(timeout=SLOW)
        page.locator("[aria-label^='What moves the forecast']").first.wait_for(timeout=SLOW)
    elif path == "batch":
        content = f"user,time,note\n{example['user']},60,x\nnew,90,\nbad,soon,\n".encode()
        payload = {"name": "jobs.csv", "mimeType": "text/csv", "buffer": content}
        page.locator("input[type=file]").set_input_files(payload)
        page.get_by_role("button", name="Predict 3 rows").click(timeout=SLOW)
        page.get_by_text("Done: 3 of 3 rows").wait_for(timeout=SLOW)
        page.get_by_text("3 of 3 rows").last.wait_for(timeout=SLOW)
    elif path == "history":
        page.locator("[aria-label*=' jobs by submission']").first.wait_for(timeout=SLOW)
    elif path == "analytics":
        page.locator("[aria-label^='Calls a second over ']").first.wait_for(timeout=SLOW)
    else:
        page.get_by_text("rt-predictor-train --rollback").wait_for(timeout=SLOW)
        page.locator("[aria-label^='What ensemble rests on']").first.wait_for(timeout=SLOW)
    return visit


@pytest.mark.parametrize("path", PAGES)
def test_a_page_fits_a_telephone(look: Any, example: dict[str, Any], report: Any, path: str) -> None:
    visit = settled(look, path, example, report, width=400, height=900)
    visit.page.wait_for_function("document.documentElement.scrollWidth <= 400", timeout=SLOW)
    parts = (
        "[data-testid='stVegaLiteChart'], [data-testid='stCode'], [data-testid='stDataFrame'], [data-testid='stMetric']"
    )
    # charts are drawn anew for the width that they have in the end
    visit.page.wait_for_function(FIT, arg=[parts, 400], timeout=SLOW)
    assert visit.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
def test_a_scan_finds_no_barrier(look: Any, example: dict[str, Any], report: Any, path: str, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    visit = settled(look, path, example, report, scheme=scheme)
    rules = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}
    end, found = time.monotonic() + SLOW / 1000, None
    while found != {} and time.monotonic() < end:  # what is being drawn anew is pale for a moment
        broken = Axe().run(visit.page, options=rules).response["violations"]
        found = {rule["id"]: [node["html"][:200] for node in rule["nodes"]] for rule in broken}
    assert found == {}


def test_a_keyboard_goes_from_page_to_page(look: Any) -> None:
    page = look().open("", PAGES[""])
    page.get_by_role("link", name="Batch").press("Enter")
    page.get_by_role("heading", name=PAGES["batch"]).wait_for(timeout=SLOW)
    page.wait_for_function("document.title == 'Batch - rt-predictor'", timeout=SLOW)
    page.get_by_role("link", name="Model performance").press("Enter")
    page.get_by_role("heading", name=PAGES["model"]).wait_for(timeout=SLOW)
