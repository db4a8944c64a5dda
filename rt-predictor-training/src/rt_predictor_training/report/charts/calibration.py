"""How sure the forecast is, and how right it is about that: quantiles, intervals, the advised wallclock, the limit."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from rt_predictor_training.report.charts.errors import month_axis
from rt_predictor_training.report.charts.svg import INK, MUTED, SERIES, Chart, diagonal, in_percent, sentence
from rt_predictor_training.report.words import percent

Rows = list[dict[str, Any]]

NOMINAL = 0.9
TICKS = (0.0, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)

_ON_THE_LINE = "On the dashed line it holds exactly what it says."
_NO_INTERVAL = "the ensemble gave no intervals"


def quantiles(document: dict[str, Any]) -> Chart:
    """Return the nominal levels against the share of jobs that ran no longer."""
    rows, title = document["reliability"], "Do the quantiles hold?"
    if not rows:
        return Chart(title, _NO_INTERVAL, None)

    def draw(axes: Axes) -> None:
        diagonal(axes, 0.0, 1.0)
        axes.plot(_column(rows, "level"), _column(rows, "share"), color=SERIES[0], marker="o")
        axes.set_xlabel("level of the quantile")
        axes.set_ylabel("jobs that ran no longer")
        in_percent(axes, both=True)

    said = sentence([(percent(row["level"]), f"measured {percent(row['share'])}") for row in rows])
    return Chart(title, f"Level of the quantile and measured share of jobs: {said}", draw, _ON_THE_LINE)


def by_tenth(document: dict[str, Any]) -> Chart:
    """Return the coverage of the 90 % interval over consecutive tenths of the jobs."""
    rows = _covered(document["tenths"])

    def draw(axes: Axes) -> None:
        _coverage(axes, np.array([int(row["tenth"]) for row in rows]), rows)
        axes.set_xticks(range(1, 11))
        axes.set_xlabel("tenth of the jobs, oldest first")

    return _coverage_chart("Does the 90 % interval hold over time?", rows, "tenth", draw)


def by_month(document: dict[str, Any]) -> Chart:
    """Return the coverage of the 90 % interval over the months."""
    rows = _covered(document["months"])

    def draw(axes: Axes) -> None:
        _coverage(axes, month_axis(axes, rows), rows)

    return _coverage_chart("Does the 90 % interval hold each month?", rows, "month", draw)


def dial(document: dict[str, Any]) -> Chart:
    """Return the accepted risk against the share of jobs that the recommended wallclock would have killed."""
    rows, title = document["dial"], "Does the recommended wallclock keep its risk?"
    if not rows:
        return Chart(title, "this backtest recommended no wallclocks", None)
    risk, rate = _column(rows, "risk"), _column(rows, "rate")
    span = np.array([rate - _column(rows, "rate_lowest_tenth"), _column(rows, "rate_highest_tenth") - rate])

    def draw(axes: Axes) -> None:
        diagonal(axes, 0.0, float(risk.max()))
        axes.errorbar(risk, rate, yerr=np.maximum(span, 0.0), color=SERIES[0], ecolor=MUTED, marker="o", capsize=3)
        axes.set_ylim(bottom=0.0)
        axes.set_xlabel("accepted risk")
        axes.set_ylabel("jobs that it would have killed")
        in_percent(axes, both=True)

    said = sentence([(percent(row["risk"], 0), f"measured {percent(row['rate'])}") for row in rows])
    note = "Whiskers span the consecutive tenths of the jobs. Above the dashed line are more jobs than accepted."
    return Chart(title, f"Accepted risk and share of jobs that would have been killed: {said}", draw, note)


def exceedance(document: dict[str, Any]) -> Chart:
    """Return the predicted probability to run past the request against how often it happened."""
    rows = [row for row in document["exceedance"] if row["jobs"]]
    title = "Is the chance to hit the limit right?"
    if not rows:
        return Chart(title, "no job states a request", None)

    def draw(axes: Axes) -> None:
        predicted, measured = _column(rows, "predicted"), _column(rows, "measured")
        line = np.linspace(0.0, 1.0, 50)
        axes.plot(line, line, color=MUTED, linestyle="--", linewidth=1.0)
        axes.plot(predicted, measured, color=SERIES[0], linewidth=1.0)
        axes.scatter(predicted, measured, s=_area(rows), color=SERIES[0], alpha=0.7, linewidths=0)
        _by_root(axes)
        axes.set_xlabel("predicted probability to run past the request")
        axes.set_ylabel("jobs that did")

    said = sentence(
        [(f"predicted {percent(row['predicted'])}", f"measured {percent(row['measured'])}") for row in rows]
    )
    note = f"Larger dots stand for more jobs; the scale is drawn out where risks are small. {_ON_THE_LINE}"
    return Chart(title, f"Probability to run past the request: {said}", draw, note)


def _column(rows: Rows, key: str) -> np.ndarray:
    return np.array([row[key] for row in rows], float)


def _covered(rows: Rows) -> Rows:
    return [row for row in rows if row["coverage_90"] is not None]


def _coverage_chart(title: str, rows: Rows, key: str, draw: Any) -> Chart:
    if not rows:
        return Chart(title, _NO_INTERVAL, None)
    said = sentence([(row[key], percent(row["coverage_90"])) for row in rows])
    return Chart(title, f"Share of jobs within their 90 % interval by {key}: {said}", draw)


def _coverage(axes: Axes, place: np.ndarray, rows: Rows) -> None:
    share = _column(rows, "coverage_90")
    axes.axhline(NOMINAL, color=INK, linestyle="--", linewidth=1.0)
    axes.plot(place, share, color=SERIES[0], marker="o")
    axes.set_ylim(min(0.8, float(share.min()) - 0.02), 1.0)
    axes.set_ylabel("jobs within the interval")
    in_percent(axes)


def _area(rows: Rows) -> np.ndarray:
    jobs = _column(rows, "jobs")
    return np.asarray(20.0 + 180.0 * jobs / jobs.max())


def _by_root(axes: Axes) -> None:
    axes.set_xscale("function", functions=(_root, np.square))
    axes.set_yscale("function", functions=(_root, np.square))
    axes.set_xticks(TICKS)
    axes.set_yticks(TICKS)
    axes.set_xlim(0.0, 1.0)
    axes.set_ylim(0.0, 1.0)
    in_percent(axes, both=True)


def _root(value: np.ndarray) -> np.ndarray:
    # the library tries values a little below zero, where no probability is
    return np.asarray(np.sqrt(np.maximum(value, 0.0)))
