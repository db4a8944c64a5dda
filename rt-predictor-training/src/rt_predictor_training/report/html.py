"""The result of backtests as one page that needs nothing else: no script, no font, no address."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from rt_predictor_formats.times import human_duration
from rt_predictor_training.outcome import Outcome
from rt_predictor_training.report import columns, words
from rt_predictor_training.report.charts import charts
from rt_predictor_training.report.charts.svg import Chart, render
from rt_predictor_training.report.json import document

TEMPLATES = Path(__file__).parent / "templates"


def page(outcomes: Sequence[Outcome]) -> str:
    """Return the page: an overview, and one section per trace.

    Names from a log are escaped wherever they stand. Only this function loads the chart library.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "hours": words.hours,
        "percent": words.percent,
        "duration": human_duration,
    }
    sections = [_section(outcome, f"trace-{i}") for i, outcome in enumerate(outcomes, 1)]
    return environment.get_template("page.html").render(sections=sections, columns=columns.ALL)


def _section(outcome: Outcome, name: str) -> dict[str, Any]:
    content = document(outcome)
    return {
        "name": name,
        "document": content,
        "sentences": words.verdict(content),
        "request": words.of_method(content, "request") if content["with_request"] else None,
        "rule": next(iter(words.best_baselines(content, 1)), None),
        "best": {column.key: column.best(content["methods"]) for column in columns.ALL},
        "charts": _drawn(outcome, content, name) if len(outcome) else [],
    }


def _drawn(outcome: Outcome, content: dict[str, Any], name: str) -> list[tuple[Chart, Markup]]:
    return [(chart, render(chart, f"{name}-{i}")) for i, chart in enumerate(charts(outcome, content), 1)]
