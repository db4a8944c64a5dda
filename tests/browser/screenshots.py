"""Writes docs/screenshots from the running system: `make screenshots`. By its name no other run takes it for a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rt_predictor_client import Client
from rt_predictor_formats.times import format_duration

pytestmark = pytest.mark.browser

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "screenshots"
SLOW = 120_000
"""Longest wait for what a page shall show [ms]."""

HEIGHT = "document.querySelector('[data-testid=stMainBlockContainer]').scrollHeight"
MARGIN = 16
"""Around a part of a page [px]."""

ROWS = 5000
SIZES = {"wide": (1100, 900), "narrow": (400, 900)}
MANNERS = [(size, scheme) for size in SIZES for scheme in ("light", "dark")]


def keep(visit: Any, name: str) -> None:
    """Write the whole page: it scrolls inside a box, so the window is made as high as what is in it."""
    page = visit.page
    FOLDER.mkdir(parents=True, exist_ok=True)
    page.mouse.move(0, 0)
    height = 0
    while height != (height := page.evaluate(HEIGHT)):
        page.set_viewport_size({"width": page.viewport_size["width"], "height": int(height)})
        page.wait_for_timeout(1500)  # charts are drawn anew for the new size
    assert visit.complaints == []  # a part that could not be loaded would be seen in the picture
    page.screenshot(path=str(FOLDER / f"{name}.png"))


def keep_part(visit: Any, name: str, first: Any, last: Any) -> None:
    """Write what lies between two places of a page that was kept, both of them included."""
    top, bottom = first.bounding_box(), last.bounding_box()
    height = bottom["y"] + bottom["height"] - top["y"] + 2 * MARGIN
    clip = {"x": 0, "y": top["y"] - MARGIN, "width": visit.page.viewport_size["width"], "height": height}
    visit.page.screenshot(path=str(FOLDER / f"{name}.png"), clip=clip)


def open_tab(look: Any, manner: tuple[str, str], path: str, heading: str) -> Any:
    size, scheme = manner
    width, height = SIZES[size]
    visit = look(width=width, height=height, scheme=scheme)
    visit.open(path, heading).get_by_text("The service answers").wait_for(timeout=SLOW)
    return visit


@pytest.mark.parametrize("manner", MANNERS, ids="-".join)
def test_predict(look: Any, example: dict[str, Any], manner: tuple[str, str]) -> None:
    asked = f"user={example['user']}&time={format_duration(float(example['wallclock_req']))}&nodes=4"
    visit = open_tab(look, manner, f"?{asked}", "How long will this job run?")
    visit.page.get_by_role("button", name="Predict", exact=True).click()
    visit.page.get_by_text("Why: what moves").click(timeout=SLOW)
    visit.page.get_by_text("A typical job takes").wait_for(timeout=SLOW)
    visit.page.get_by_text("What if: half the nodes").click(timeout=SLOW)
    visit.page.get_by_text("Twice the time", exact=True).wait_for(timeout=SLOW)
    keep(visit, f"predict-{'-'.join(manner)}")
    if manner == ("wide", "light"):  # what the README shows
        answer = visit.page.get_by_role("heading", name="About ")
        keep_part(visit, "forecast", answer, visit.page.get_by_text("#SBATCH --time=").first)


@pytest.mark.parametrize("manner", MANNERS, ids="-".join)
def test_batch(look: Any, manner: tuple[str, str]) -> None:
    visit = open_tab(look, manner, "batch", "Forecast many jobs")
    rows = "".join(f"user{i % 40:04},{i * 37 % 1400 + 1},{i % 8 + 1},note {i}\n" for i in range(ROWS - 1))
    content = f"User,Timelimit,NNodes,Comment\n{rows}somebody,soon,1,\n".encode()
    payload = {"name": "jobs.csv", "mimeType": "text/csv", "buffer": content}
    visit.page.locator("input[type=file]").set_input_files(payload)
    visit.page.get_by_role("button", name="Predict 5,000 rows").click(timeout=SLOW)
    visit.page.get_by_text("Done: 5,000 of 5,000 rows").wait_for(timeout=SLOW)
    visit.page.get_by_text("5,000 of 5,000 rows").last.wait_for(timeout=SLOW)
    keep(visit, f"batch-{'-'.join(manner)}")


@pytest.mark.parametrize("manner", MANNERS, ids="-".join)
def test_model(look: Any, manner: tuple[str, str]) -> None:
    visit = open_tab(look, manner, "model", "Model performance")
    visit.page.get_by_text("rt-predictor-train --rollback").wait_for(timeout=SLOW)
    visit.page.locator("[aria-label^='What ensemble rests on']").first.wait_for(timeout=SLOW)
    keep(visit, f"model-{'-'.join(manner)}")


def test_service_away(look: Any, site: Any, example: dict[str, Any]) -> None:
    visit = open_tab(look, ("wide", "light"), f"?user={example['user']}", "How long will this job run?")
    site.api.kill()
    visit.page.get_by_role("button", name="Predict", exact=True).click()
    visit.page.get_by_text("Not predicted").wait_for(timeout=SLOW)
    visit.page.get_by_text("No service answers").wait_for(timeout=SLOW)
    keep(visit, "service-away")
    site.start_api()


@pytest.mark.parametrize("manner", MANNERS, ids="-".join)
def test_history(look: Any, report: Any, manner: tuple[str, str]) -> None:
    report("grace", 40)
    visit = open_tab(look, manner, "history", "History")
    visit.page.get_by_label("User", exact=True).fill("grace")
    visit.page.get_by_label("User", exact=True).press("Enter")
    visit.page.locator("[aria-label^='40 jobs by submission: ']").first.wait_for(timeout=SLOW)
    keep(visit, f"history-{'-'.join(manner)}")


@pytest.mark.parametrize("manner", MANNERS, ids="-".join)
def test_analytics(look: Any, report: Any, site: Any, example: dict[str, Any], manner: tuple[str, str]) -> None:
    report(f"grace-{'-'.join(manner)}", 40)  # what was reported before is compared with no forecast again
    visit = open_tab(look, manner, "analytics", "Analytics")
    with Client(f"localhost:{site.port}", timeout_seconds=60) as client:
        # enough jobs that drift is told
        list(client.predict_many({"user": example["user"], "wallclock_req": 60 * one} for one in range(1, 1000)))
        # some readings with forecasts between them
        for _ in range(200):
            client.predict({"user": example["user"], "wallclock_req": example["wallclock_req"]})
            visit.page.wait_for_timeout(100)
    visit.page.locator("[aria-label^='Duration p50 over ']").first.wait_for(timeout=SLOW)
    visit.page.get_by_text("Measured in training").wait_for(timeout=SLOW)
    visit.page.locator("[aria-label^='Drift by feature. ']").first.wait_for(timeout=SLOW)
    visit.page.get_by_text("Refresh by itself").click()
    keep(visit, f"analytics-{'-'.join(manner)}")
