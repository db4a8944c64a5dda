"""A person looks at the jobs of a user in a browser."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

SLOW = 120_000
"""Longest wait for what a page shall show [ms]."""


def test_a_users_jobs_are_found_and_leafed_through(look: Any, report: Any) -> None:
    visit = look()
    report("grace", 60)
    page = visit.open("history", "History")
    page.get_by_label("User", exact=True).fill("grace")
    page.get_by_label("User", exact=True).press("Enter")
    page.locator("[aria-label^='50 jobs by submission: requested, forecast with its band']").first.wait_for(
        timeout=SLOW
    )
    page.get_by_role("button", name="Older jobs").click(timeout=SLOW)
    page.locator("[aria-label^='10 jobs by submission: ']").first.wait_for(timeout=SLOW)
    expect(page.get_by_role("button", name="Older jobs")).to_have_count(0, timeout=SLOW)
    page.get_by_role("button", name="Newer jobs").click(timeout=SLOW)
    page.locator("[aria-label^='50 jobs by submission: ']").first.wait_for(timeout=SLOW)
    assert visit.complaints == []
    assert visit.foreign == []


def test_jobs_are_there_again_when_the_service_is(look: Any, site: Any, report: Any) -> None:
    visit = look()
    report("grace", 60)
    site.api.kill()
    page = visit.open("history", "History")
    page.get_by_text("There is nothing to show until the service answers").wait_for(timeout=SLOW)
    site.start_api()
    page.get_by_label("User", exact=True).fill("grace")
    page.get_by_label("User", exact=True).press("Enter")
    page.locator("[aria-label^='50 jobs by submission: ']").first.wait_for(timeout=SLOW)
    assert visit.complaints == []
