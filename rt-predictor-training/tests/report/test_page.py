"""The page of a backtest: it needs nothing else, anybody can read it, and no name from a log becomes markup."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from rt_predictor_training.outcome import Outcome
from rt_predictor_training.report.charts import charts
from rt_predictor_training.report.html import page
from rt_predictor_training.report.json import document

Make = Callable[..., Outcome]

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<script>alert('x')</script> & \"$x$\""


def parsed(text: str) -> ET.Element:
    doctype, rest = text.split("\n", 1)
    assert doctype == "<!DOCTYPE html>"
    return ET.fromstring(rest)  # noqa: S314 - our own page


@pytest.fixture(scope="module")
def large(make: Make) -> str:
    return page([make(54_000)])


def test_a_large_log_gives_a_small_page_that_asks_for_nothing(large: str) -> None:
    assert len(large.encode()) < 500_000
    root = parsed(large)
    for element in root.iter():
        assert element.tag.rsplit("}", 1)[-1] not in {"script", "link", "iframe", "object", "base"}
        for name, value in element.attrib.items():
            plain = name.rsplit("}", 1)[-1]
            assert not plain.startswith("on")
            if plain in {"src", "href"}:
                assert value.startswith(("#", "data:image/png;base64,"))
    assert set(re.findall(r"url\(\s*['\"]?(.)", large)) <= {"#"}
    assert "@import" not in large
    assert "prefers-color-scheme: dark" in large


def test_every_chart_has_a_title_axes_and_a_text_for_those_who_cannot_see_it(make: Make, large: str) -> None:
    outcome = make(54_000)
    expected = charts(outcome, document(outcome))
    drawn = list(parsed(large).iter(f"{SVG}svg"))
    assert len(drawn) == len(expected) == 11
    for chart, element in zip(expected, drawn, strict=True):
        assert element.get("role") == "img"
        assert element.get("aria-label") == chart.alt
        assert len(chart.alt) > 20
        title = element.find(f"{SVG}title")
        assert title is not None
        assert title.text == chart.title
        assert len(list(element.iter(f"{SVG}text"))) >= 4
        assert "width" not in element.attrib


def test_ids_are_unique_and_every_reference_finds_its_target(make: Make) -> None:
    text = page([make(300), make(300), make(40, requests=False)])
    ids = [element.get("id") for element in parsed(text).iter() if element.get("id")]
    assert [name for name, count in Counter(ids).items() if count > 1] == []
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', text)) <= set(ids)


def test_colours_follow_the_scheme_of_the_reader(large: str) -> None:
    drawn = large[large.index("<svg") :]
    assert re.findall(r"#[0-9a-fA-F]{6}\b", drawn) == []
    used = set(re.findall(r"var\((--[a-z0-9-]+)\)", large))
    light, dark = re.findall(r":root \{(.*?)\}", large, flags=re.DOTALL)
    for scheme in (light, dark):
        assert used <= set(re.findall(r"(--[a-z0-9-]+):", scheme))


def test_names_from_a_log_stay_text(make: Make) -> None:
    outcome = make(200, trace=HOSTILE)
    methods = (*outcome.methods[:3], replace(outcome.methods[3], name=HOSTILE))
    ablations = (replace(outcome.ablations[0], family=HOSTILE),)
    hostile = replace(outcome, methods=methods, ablations=ablations, left_out={HOSTILE: 5})
    text = page([hostile, hostile])
    assert "<script" not in text
    root = parsed(text)
    assert HOSTILE in "".join(root.itertext())
    assert [element for element in root.iter() if element.tag.endswith("script")] == []
    legends = [element.text for element in root.iter(f"{SVG}text")]
    assert HOSTILE in legends


@pytest.mark.parametrize("jobs", [0, 1, 2, 9])
def test_a_page_of_hardly_any_job_says_what_is_missing(make: Make, jobs: int) -> None:
    text = page([make(jobs, requests=False, ablations=False)])
    root = parsed(text)
    assert ("No job was evaluated" in text) == (jobs == 0)
    if jobs:
        assert text.count("Nothing to draw: ") == 3
        assert len(list(root.iter(f"{SVG}svg"))) == 8


def test_a_forecast_that_is_always_right_can_be_drawn(make: Make) -> None:
    outcome = make(60)
    right = replace(outcome.methods[0], point=outcome.run, quantiles=np.tile(outcome.run[:, None], 5))
    sure = replace(outcome, methods=(right, *outcome.methods[1:]), exceeds=np.zeros(60))
    assert len(list(parsed(page([sure])).iter(f"{SVG}svg"))) == 11


def test_several_logs_have_an_overview_and_a_section_each(make: Make) -> None:
    root = parsed(page([make(100, trace="one"), make(100, seed=2, trace="two")]))
    assert [element.get("id") for element in root.iter("section")] == ["trace-1", "trace-2"]
    assert [element.get("href") for element in root.iter("a")] == ["#trace-1", "#trace-2"]


def test_the_same_outcome_gives_the_same_page(make: Make) -> None:
    assert page([make(150)]) == page([make(150)])


def test_the_chart_library_is_loaded_for_the_page_alone() -> None:
    code = (
        "import sys, rt_predictor_training.report.json, rt_predictor_training.report.table;"
        "sys.exit(any(name in sys.modules for name in ('matplotlib', 'jinja2')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
