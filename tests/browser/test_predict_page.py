"""A person predicts a job in a browser, with the service there, gone and back."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from rt_predictor_formats.times import format_duration

pytestmark = pytest.mark.browser

SLOW = 120_000
"""Longest wait for what a page shall show [ms]."""


def fill(page: Any, example: dict[str, Any]) -> None:
    page.get_by_label("User", exact=True).fill(str(example["user"]))
    page.get_by_label("Requested time", exact=True).fill(format_duration(float(example["wallclock_req"])))
    page.get_by_label("Nodes", exact=True).fill(str(example.get("nodes_req") or 1))


def predict(page: Any) -> None:
    page.get_by_role("button", name="Predict", exact=True).click()


def holds(page: Any, label: str, text: str) -> None:
    """Wait until a field has a text."""
    expect(page.get_by_label(label, exact=True)).to_have_value(text, timeout=SLOW)


def shoot(page: Any, folder: Path, name: str) -> Path:
    """Keep a picture: beside the test's files, or where RT_PREDICTOR_SCREENSHOTS says."""
    kept = Path(os.environ.get("RT_PREDICTOR_SCREENSHOTS") or folder)
    kept.mkdir(parents=True, exist_ok=True)
    page.set_viewport_size({"width": page.viewport_size["width"], "height": 2000})  # the page scrolls inside a box
    page.screenshot(path=str(kept / f"{name}.png"), full_page=True)
    return kept / f"{name}.png"


def test_a_person_gets_a_forecast(visit: Any, example: dict[str, Any], tmp_path: Path) -> None:
    page = visit.page
    fill(page, example)
    predict(page)
    page.get_by_role("heading", name="About ").wait_for(timeout=SLOW)
    chart = page.locator("[aria-label^='Run time: median ']").first
    expect(chart).to_have_attribute("aria-label", re.compile("requested"), timeout=SLOW)
    page.get_by_text("#SBATCH --time=").wait_for(timeout=SLOW)
    page.get_by_text("Chance to run past the requested").wait_for(timeout=SLOW)
    assert shoot(page, tmp_path, "forecast").stat().st_size > 10_000
    assert visit.complaints == []


def test_nothing_is_asked_of_other_machines(visit: Any, example: dict[str, Any]) -> None:
    fill(visit.page, example)
    predict(visit.page)
    visit.page.get_by_role("heading", name="About ").wait_for(timeout=SLOW)
    assert visit.foreign == []


def test_a_pasted_script_keeps_what_was_typed(visit: Any) -> None:
    page = visit.page
    page.get_by_label("User", exact=True).fill("ada")
    page.get_by_text("Use a job script").click()
    page.get_by_label("Job script").fill("#!/bin/bash\n#SBATCH --time=90 --nodes=3\nsrun a.out\n")
    page.get_by_role("button", name="Fill the form").click()
    page.get_by_text("The form now asks for 3 nodes, 1 h 30 min requested.").wait_for(timeout=SLOW)
    holds(page, "Requested time", "01:30:00")
    holds(page, "Nodes", "3")
    holds(page, "User", "ada")


def test_the_slider_asks_again_by_the_keyboard(visit: Any, example: dict[str, Any]) -> None:
    page = visit.page
    page.get_by_label("User", exact=True).fill(str(example["user"]))
    page.get_by_label("Requested time", exact=True).fill(format_duration(float(example["wallclock_req"])))
    page.get_by_label("Requested time", exact=True).press("Enter")  # sends the form
    page.get_by_text("at a risk of 10 % to be killed").wait_for(timeout=SLOW)
    page.get_by_role("slider").press("ArrowRight")
    page.get_by_text("at a risk of 11 % to be killed").wait_for(timeout=SLOW)
    assert visit.complaints == []


def test_why_is_told_in_minutes(visit: Any, example: dict[str, Any]) -> None:
    page = visit.page
    fill(page, example)
    predict(page)
    page.get_by_text("Why: what moves").click(timeout=SLOW)
    page.get_by_text("A typical job takes").wait_for(timeout=SLOW)
    page.locator("[aria-label^='What moves the forecast, in minutes. ']").first.wait_for(timeout=SLOW)
    expect(page.get_by_role("row").filter(has_text="this job")).to_have_count(1, timeout=SLOW)
    assert visit.complaints == []


def test_what_if_stands_side_by_side(visit: Any, example: dict[str, Any]) -> None:
    page = visit.page
    fill(page, {**example, "nodes_req": 4})
    predict(page)
    page.get_by_text("What if: half the nodes").click(timeout=SLOW)
    for name in ("As requested", "Half the nodes", "Twice the time"):
        page.get_by_text(name, exact=True).wait_for(timeout=SLOW)


def test_a_link_of_a_prediction_fills_the_form_of_others(visit: Any, look: Any, example: dict[str, Any]) -> None:
    fill(visit.page, example)
    predict(visit.page)
    visit.page.wait_for_url("**user=*", timeout=SLOW)
    other = look().page
    other.goto(visit.page.url)
    holds(other, "User", str(example["user"]))
    holds(other, "Requested time", format_duration(float(example["wallclock_req"])))


def test_a_service_that_dies_is_told_and_found_again(
    visit: Any, site: Any, example: dict[str, Any], tmp_path: Path
) -> None:
    page = visit.page
    fill(page, example)
    site.api.kill()
    predict(page)
    page.get_by_text("No service answers").first.wait_for(timeout=SLOW)
    page.get_by_text("What to do: start the API").first.wait_for(timeout=SLOW)
    page.get_by_text("Not predicted: the service did not answer.").wait_for(timeout=SLOW)
    shoot(page, tmp_path, "away")
    site.start_api()
    page.get_by_text("The service answers with a model of").wait_for(timeout=SLOW)
    page.get_by_role("heading", name="About ").wait_for(timeout=SLOW)  # it was asked again by itself
    expect(page.get_by_text("No service answers")).to_have_count(0, timeout=SLOW)
    assert visit.complaints == []
