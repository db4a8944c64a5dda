"""What ``rtp`` prints: tables for people, plain text off a terminal, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from rt_predictor_formats.times import MINUTE, format_duration, human_duration

if TYPE_CHECKING:
    from rt_predictor_client.insight import Explanation
    from rt_predictor_client.requests import Forecast, ModelInfo, RemainingForecast, ReportResult, RowError

DOCUMENT_VERSION = 1
"""Version of all JSON documents; ``documents.schema.json`` describes them."""

_TIERS = {
    "none": "none: nothing is known of this user",
    "user": "of this user",
    "user_request": "of this user with the same requested time and processors",
    "user_name": "of this user with the same name",
    "user_name_request": "of this user with the same name and the same request",
}
_DEGRADED = {
    "history_unavailable": "the history could not be read; the forecast rests on the request alone",
    "no_wallclock_requested": "no time was requested; the site's usual limit was assumed",
}

_GROUPS = {
    "wallclock": "the requested time",
    "size": "nodes, processors, GPUs, memory",
    "time": "hour and day of the submission",
    "place": "what partition and account ran lately",
    "user": "what this user ran lately",
    "name": "what this user ran under this name",
    "alike": "this user's newest jobs like this one",
    "machine": "what the site ran lately, and what waits",
}
_UNEXPLAINED = {"no_baseline": "the model was published by a release that kept no typical job to compare with"}


def group_words(group: str) -> str:
    """Return in words what a group of contributions is."""
    return _GROUPS.get(group, group)


def unexplained_words(reason: str) -> str:
    """Return in words why a forecast is not explained."""
    return _UNEXPLAINED.get(reason, reason)


def explanation_rows(median_seconds: float, told: Explanation) -> list[tuple[str, str]]:
    """Return why a median is what it is, as pairs of label and minutes."""
    moved = [(group_words(group), f"{seconds / MINUTE:+.1f}") for group, seconds in told.contributions]
    ends = [
        (label, f"{seconds / MINUTE:.1f}")
        for label, seconds in (("a typical job", told.baseline_seconds), ("this job", median_seconds))
    ]
    return [ends[0], *moved, ends[1]]


def history_words(forecast: Forecast) -> str:
    """Return in words which history a forecast rests on."""
    words = _TIERS.get(forecast.tier, f"at tier {forecast.tier}")
    if forecast.tier == "none":
        return words
    return f"{forecast.history_jobs} finished {'job' if forecast.history_jobs == 1 else 'jobs'} {words}"


def degraded_words(reason: str) -> str:
    """Return in words why a forecast is worse than it could be."""
    return _DEGRADED.get(reason, reason)


def forecast_rows(forecast: Forecast) -> list[tuple[str, str]]:
    """Return a forecast as pairs of label and text."""
    rows = [*_time_rows(forecast), ("recommended", _recommended(forecast))]
    if forecast.probability_exceeds_request is not None:
        rows.append(("runs past the request", percent(forecast.probability_exceeds_request)))
    return rows + _basis_rows(forecast)


def remaining_rows(forecast: RemainingForecast) -> list[tuple[str, str]]:
    """Return what is left of a running job as pairs of label and text."""
    run = human_duration(forecast.elapsed_seconds)
    rows = [("has run", f"{run}; {percent(forecast.share_outlasted)} of such jobs take no longer")]
    if forecast.at_limit:
        rows.append(("limit", "reached: nothing is left, unless the job was given more time"))
    rows += [(f"{label} left", text) for label, text in _time_rows(forecast)]
    rows.append(("recommended in total", _recommended(forecast)))
    if forecast.probability_exceeds_request is not None:
        rows.append(("runs into the request", percent(forecast.probability_exceeds_request)))
    return rows + _basis_rows(forecast)


def _time_rows(forecast: Forecast) -> list[tuple[str, str]]:
    rows = [
        ("median", human_duration(forecast.median_seconds)),
        ("most likely", human_duration(forecast.most_likely_seconds)),
    ]
    levels = [level for level, _ in forecast.quantiles]
    if levels and levels[0] <= 0.25 and levels[-1] >= 0.75:  # noqa: PLR2004 - the quartiles
        rows.append(("50 % interval", _between(forecast.quantile(0.25), forecast.quantile(0.75))))
    covered = f"{forecast.nominal_coverage:.0%}".replace("%", " %")
    rows.append((f"{covered} interval", _between(forecast.lower_seconds, forecast.upper_seconds)))
    return rows


def _recommended(forecast: Forecast) -> str:
    return f"--time={format_duration(forecast.recommended_seconds)} (risk {percent(forecast.risk)})"


def _basis_rows(forecast: Forecast) -> list[tuple[str, str]]:
    rows = [("history", history_words(forecast)), ("model", forecast.model_version)]
    if forecast.degraded is not None:
        rows.append(("degraded", degraded_words(forecast.degraded)))
    return rows


def forecast_document(forecast: Forecast) -> dict[str, Any]:
    """Return a forecast as a JSON document."""
    return document("forecast", {"forecast": _forecast(forecast)})


def remaining_document(forecast: RemainingForecast) -> dict[str, Any]:
    """Return what is left of a running job as a JSON document."""
    return document("remaining", {"forecast": _forecast(forecast)})


def report_document(result: ReportResult, skipped: int, lines: Sequence[int]) -> dict[str, Any]:
    """Return what became of reported events as a JSON document; ``lines`` are the lines of a file by position."""
    rejected = [_row_error(error, lines) for error in result.rejected]
    counts = {"accepted": result.accepted, "duplicates": result.duplicates, "skipped": skipped}
    return document("report", {**counts, "rejected_total": result.rejected_total, "rejected": rejected})


def models_document(models: Sequence[ModelInfo]) -> dict[str, Any]:
    """Return models as a JSON document."""
    return document("models", {"models": [_model(model) for model in models]})


def model_rows(model: ModelInfo) -> list[tuple[str, str]]:
    """Return a model as pairs of label and text."""
    first, last = day(model.first_submit_time), day(model.last_submit_time)
    return [
        ("model", model.version + (" (current)" if model.current else "")),
        ("created", day(model.created_time)),
        ("trained on", f"{model.jobs} jobs submitted {first} to {last}"),
        ("profile", model.profile),
        ("members", ", ".join(f"{name} {weight:.2f}" for name, weight in model.members)),
    ]


def day(moment: datetime | None) -> str:
    """Return a moment as its day; ``?`` if not stated."""
    return moment.strftime("%Y-%m-%d") if moment else "?"


def percent(share: float) -> str:
    """Return a share as percent with at most one place, never rounding a chance away: ``<0.1 %``, ``5 %``."""
    smallest = 0.001
    if 0 < share < smallest:
        return "<0.1 %"
    return ">99.9 %" if 1 - smallest < share < 1 else f"{round(100 * share, 1):g} %"


def print_json(document: dict[str, Any]) -> None:
    """Print a document as one line of JSON."""
    click.echo(json.dumps(document, allow_nan=False, default=_json))


def print_pairs(rows: Sequence[tuple[str, str]]) -> None:
    """Print labels with texts, in colour on a terminal."""
    print_table(("", ""), rows)


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: with rich on a terminal (which heeds NO_COLOR), as plain columns otherwise."""
    cleaned = [[printable(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _print_rich(header, cleaned)
        return
    shown = [list(header), *cleaned] if any(header) else cleaned
    widths = [max(len(row[i]) for row in shown) for i in range(len(header))]
    for row in shown:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _print_rich(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=any(header), pad_edge=False)
    for i, name in enumerate(header):
        table.add_column(name, style="bold" if i == 0 else "")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


@contextmanager
def progress(total: int | None) -> Iterator[Callable[[], object]]:
    """Show rows done, rate and time left on a terminal's stderr; yields what is to be called for each row."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), _rate_column(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("rows", total=total)
        yield lambda: bar.advance(task)


def _rate_column() -> Any:
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.finished_speed or task.speed or 0:.0f} rows/s")

    return Rate()


def _between(lower: float, upper: float) -> str:
    return f"{human_duration(lower)} - {human_duration(upper)}"


def printable(text: str) -> str:
    """Return text without control characters: names come from elsewhere and must not steer a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)


def document(kind: str, content: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON document of a kind."""
    return {"version": DOCUMENT_VERSION, "kind": kind, **content}


def _row_error(error: RowError, lines: Sequence[int]) -> dict[str, Any]:
    violations = [{"field": field, "description": description} for field, description in error.violations]
    line = lines[error.position] if error.position < len(lines) else None
    return {"position": error.position, "line": line, "violations": violations}


def _forecast(forecast: Forecast) -> dict[str, Any]:
    content = asdict(forecast)
    content["quantiles"] = [{"level": level, "seconds": seconds} for level, seconds in forecast.quantiles]
    content["recommended_time"] = format_duration(forecast.recommended_seconds)
    content["explanation"] = forecast.explanation and _explanation(forecast.explanation)
    return content


def _explanation(told: Explanation) -> dict[str, Any]:
    contributions = [{"group": group, "seconds": seconds} for group, seconds in told.contributions]
    return asdict(told) | {"contributions": contributions}


def _model(model: ModelInfo) -> dict[str, Any]:
    content = asdict(model)
    content["members"] = [{"name": name, "weight": weight} for name, weight in model.members]
    return content


def _json(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(type(value))
