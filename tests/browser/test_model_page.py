"""A person looks at the models in a browser."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import TimeoutError, expect  # noqa: A004 - Playwright's own

pytestmark = pytest.mark.browser

SLOW = 120_000
"""Longest wait for what a page shall show [ms]."""


def choose(page: Any, box: str, name: str) -> None:
    """Choose from a list; one that is opened while charts are still drawn closes again as the page moves."""
    deadline = time.monotonic() + SLOW / 1000
    while True:
        page.get_by_role("combobox", name=box).click(timeout=SLOW)
        try:
            page.get_by_role("option", name=name).click(timeout=3000)
        except TimeoutError:
            assert time.monotonic() < deadline, f"no {name} in {box}"
        else:
            return


def test_the_models_are_shown_and_compared(look: Any, models: Path) -> None:
    visit = look()
    page = visit.open("model", "Model performance")
    older, newer = sorted(path.parent.name for path in models.glob("*/example.json"))
    page.get_by_text(f"rt-predictor-train --rollback {older}").wait_for(timeout=SLOW)
    page.locator("[aria-label^='Mean error by method. ensemble: ']").first.wait_for(timeout=SLOW)
    expect(page.locator("g.mark-rect path").nth(9)).to_be_attached(timeout=SLOW)  # a bar for each method
    page.locator("[aria-label^='Accepted risk and what it led to. ']").first.wait_for(timeout=SLOW)
    page.locator("[aria-label^='Mean error by part. ']").first.wait_for(timeout=SLOW)
    page.locator("[aria-label^='Quantiles, nominal and measured. ']").first.wait_for(timeout=SLOW)
    page.locator("[aria-label^='What ensemble rests on. ']").first.wait_for(timeout=SLOW)
    page.get_by_role("radio", name="By history").or_(page.get_by_role("button", name="By history")).click(timeout=SLOW)
    page.locator("[aria-label^='Mean error by part. none: ']").first.wait_for(timeout=SLOW)
    choose(page, "Compare with", older)
    page.get_by_role("columnheader", name=newer).wait_for(timeout=SLOW)
    assert visit.complaints == []
    assert visit.foreign == []


def test_a_link_shows_a_version(look: Any, models: Path) -> None:
    older = min(path.parent.name for path in models.glob("*/example.json"))
    page = look().open(f"model?version={older}", "Model performance")
    page.get_by_text("trained on 3,000 jobs").wait_for(timeout=SLOW)


def test_an_open_page_is_there_again_when_the_service_is(look: Any, site: Any) -> None:
    site.api.kill()
    page = look().open("model", "Model performance")
    page.get_by_text("There is nothing to show until the service answers").wait_for(timeout=SLOW)
    site.start_api()
    page.get_by_text("trained on 6,000 jobs").wait_for(timeout=SLOW)
