"""A person forecasts a file in a browser."""

from __future__ import annotations

import csv
import signal
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

SLOW = 120_000
"""Longest wait for what a page shall show [ms]."""

MANY = 100_000
"""Rows of a big file."""


def open_batch(look: Any) -> Any:
    opened = look()
    opened.open("batch", "Forecast many jobs")
    return opened


def give(page: Any, content: str, name: str = "jobs.csv") -> None:
    payload = {"name": name, "mimeType": "text/csv", "buffer": content.encode()}
    page.locator("input[type=file]").set_input_files(payload, timeout=SLOW)


def start(page: Any, label: str) -> None:
    page.get_by_role("button", name=label).click(timeout=SLOW)


def rows(count: int, user: str) -> str:
    return "user,time,nodes_req\n" + "".join(f"{user},{i % 600 + 1},1\n" for i in range(count))


def test_a_person_forecasts_a_file_and_keeps_it(look: Any, example: dict[str, Any], tmp_path: Path) -> None:
    visit = open_batch(look)
    page = visit.page
    give(page, f"User,Timelimit,NNodes\n{example['user']},01:00:00,1\nnobody,soon,1\n=1+1,90,2\n")
    page.get_by_text("3 of 3 understood").wait_for(timeout=SLOW)
    start(page, "Predict 3 rows")
    page.get_by_text("Done: 3 of 3 rows").wait_for(timeout=SLOW)
    with page.expect_download(timeout=SLOW) as kept:
        page.get_by_role("button", name="Results as CSV").click()
    kept.value.save_as(tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [row["User"] for row in found] == [example["user"], "nobody", "'=1+1"]
    assert float(found[0]["median_seconds"]) > 0
    assert "'soon' is no duration" in found[1]["error"]
    with page.expect_download(timeout=SLOW) as errors:
        page.get_by_role("button", name="Errors as CSV").click()
    errors.value.save_as(tmp_path / "errors.csv")
    assert (tmp_path / "errors.csv").read_text().startswith("row,error\n2,")
    assert visit.complaints == []
    assert visit.foreign == []


def test_a_wrong_file_says_what_to_do(look: Any) -> None:
    visit = open_batch(look)
    give(visit.page, "colour,size\nred,1\n")
    visit.page.get_by_text("No usable column").wait_for(timeout=SLOW)
    visit.page.get_by_text("What to do:").first.wait_for(timeout=SLOW)
    expect(visit.page.get_by_role("button", name="Predict")).to_have_count(0, timeout=SLOW)
    assert visit.complaints == []


def test_a_hundred_thousand_rows_of_which_the_browser_gets_a_page(look: Any, example: dict[str, Any]) -> None:
    visit = open_batch(look)
    received: list[int] = []
    visit.page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: received.append(len(frame))))
    visit.page.reload()
    visit.page.get_by_role("heading", name="Forecast many jobs").wait_for(timeout=SLOW)
    give(visit.page, rows(MANY, str(example["user"])))
    start(visit.page, "Predict 100,000 rows")
    visit.page.get_by_text("rows/s").first.wait_for(timeout=SLOW)
    visit.page.get_by_text("Done: 100,000 of 100,000 rows").wait_for(timeout=5 * SLOW)
    visit.page.get_by_text("100,000 of 100,000 rows").last.wait_for(timeout=SLOW)
    assert 0 < sum(received) < 2_000_000
    assert visit.complaints == []


def test_a_run_is_cancelled_while_the_service_does_not_answer(look: Any, site: Any, example: dict[str, Any]) -> None:
    visit = open_batch(look)
    give(visit.page, rows(MANY, str(example["user"])))
    visit.page.get_by_role("button", name="Predict 100,000 rows").wait_for(timeout=SLOW)
    site.api.running.send_signal(signal.SIGSTOP)  # else a fast machine would be done before
    try:
        start(visit.page, "Predict 100,000 rows")
        start(visit.page, "Cancel")
        visit.page.get_by_text("Cancelled: ").wait_for(timeout=SLOW)
        visit.page.get_by_role("button", name="Results as CSV").wait_for(timeout=SLOW)
    finally:
        site.api.running.send_signal(signal.SIGCONT)
    assert visit.complaints == []


def test_a_run_goes_on_when_the_service_is_back(look: Any, site: Any, example: dict[str, Any]) -> None:
    visit = open_batch(look)
    give(visit.page, rows(20_000, str(example["user"])))
    site.api.kill()
    start(visit.page, "Predict 20,000 rows")
    visit.page.get_by_text("waiting for the service").wait_for(timeout=SLOW)
    site.start_api()
    visit.page.get_by_text("Done: 20,000 of 20,000 rows").wait_for(timeout=3 * SLOW)
    assert visit.complaints == []
