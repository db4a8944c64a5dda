"""The pages where a proxy tells who the visitor is; the browser sends the header in its place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

SLOW = 120_000
"""Longest wait for what a page shall show [ms]."""


@pytest.fixture
def behind(site: Any, tmp_path: Path) -> Iterator[str]:
    """Yield the address of pages that trust this machine to say who the visitor is."""
    pages = type(site)(site.models, tmp_path, port=site.port, metrics_port=site.metrics_port)
    try:
        pages.start_ui(
            RT_PREDICTOR_USER_HEADER="X-Forwarded-User",
            RT_PREDICTOR_TRUSTED_PROXIES="127.0.0.1",
            FORWARDED_ALLOW_IPS="",
        )
        yield pages.address
    finally:
        pages.stop()


def test_the_form_knows_who_is_signed_in_and_strangers_see_nothing(look: Any, behind: str) -> None:
    page = look(extra_http_headers={"X-Forwarded-User": "ada"}).page
    page.goto(behind)
    expect(page.get_by_label("User", exact=True)).to_have_value("ada", timeout=SLOW)
    page.get_by_text("The service answers with a model of").wait_for(timeout=SLOW)
    # an address that is claimed is none
    stranger = look(extra_http_headers={"X-Forwarded-For": "127.0.0.1"}).page
    stranger.goto(behind)
    stranger.get_by_text("It is not known who you are").wait_for(timeout=SLOW)
    expect(stranger.get_by_label("User", exact=True)).to_have_count(0, timeout=SLOW)
    other = look(extra_http_headers={"X-Forwarded-User": "bob", "X-Forwarded-For": "10.0.0.9"}).page
    other.goto(f"{behind}/?user=carl")
    expect(other.get_by_label("User", exact=True)).to_have_value("carl", timeout=SLOW)  # a link says whose job it is
