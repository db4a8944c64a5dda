"""The pages where a part is not there: no Prometheus, no model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

SLOW = 120_000
"""Longest wait for what a page shall show [ms]."""


def row(page: Any, name: str) -> Any:
    return page.get_by_role("row").filter(has_text=name)


@pytest.fixture
def lost(site: Any, tmp_path: Path) -> Iterator[str]:
    """Yield the address of pages whose Prometheus is away."""
    pages = type(site)(site.models, tmp_path, port=site.port, metrics_port=site.metrics_port)
    try:
        pages.start_ui(RT_PREDICTOR_PROMETHEUS_URL="http://127.0.0.1:1")
        yield pages.address
    finally:
        pages.stop()


def test_without_prometheus_the_service_itself_tells(look: Any, lost: str) -> None:
    visit = look()
    visit.page.goto(f"{lost}/analytics")
    visit.page.get_by_text("see that Prometheus runs").wait_for(timeout=SLOW)
    expect(row(visit.page, "Takes calls")).to_contain_text("yes", timeout=SLOW)
    assert visit.complaints == []


@pytest.fixture
def bare(site: Any, tmp_path: Path) -> Iterator[str]:
    """Yield the address of pages of a service that waits for its first model."""
    (tmp_path / "models").mkdir()
    parts = type(site)(tmp_path / "models", tmp_path)
    try:
        parts.start_api(with_model=False)
        parts.start_ui()
        yield parts.address
    finally:
        parts.stop()


def test_without_a_model_every_page_says_so(look: Any, bare: str) -> None:
    visit = look()
    page = visit.page
    page.goto(f"{bare}/analytics")
    expect(row(page, "Takes calls")).to_contain_text("no", timeout=SLOW)
    page.get_by_text("The service has no model yet").first.wait_for(timeout=SLOW)
    for path in ("model", "history", "batch", ""):
        page.goto(f"{bare}/{path}")
        page.get_by_text("train one with").first.wait_for(timeout=SLOW)
    assert visit.complaints == []
