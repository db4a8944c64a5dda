"""How far off the forecast is: by month, by run time, by history, and without a family of features."""

from __future__ import annotations

from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from rt_predictor_formats.times import HOUR
from rt_predictor_training.report.charts.svg import DASHES, MARKERS, SERIES, TIMES, Chart, legend, sentence
from rt_predictor_training.report.words import best_baselines, hours, of_method

Rows = list[dict[str, Any]]

MOST_TICKS = 6
"""Labels of months that fit side by side."""


def by_month(document: dict[str, Any]) -> Chart:
    """Return the mean error of the ensemble and the best baselines over the months."""
    rows, names = document["months"], _compared(document, 2)

    def draw(axes: Axes) -> None:
        _lines(axes, rows, names)

    return _chart("Error by month of submission", rows, "month", draw)


def by_band(document: dict[str, Any]) -> Chart:
    """Return the mean error by true run time."""
    rows, names = _filled(document["bands"]), _compared(document, 1)

    def draw(axes: Axes) -> None:
        _dots(axes, rows, "band", names)
        _by_magnitude(axes)
        axes.set_xlabel("actual run time")

    return _chart("Error by run time", rows, "band", draw, "The scale is logarithmic.")


def by_tier(document: dict[str, Any]) -> Chart:
    """Return the mean error by how much history there was."""
    rows, names = _filled(document["tiers"]), _compared(document, 1)

    def draw(axes: Axes) -> None:
        _dots(axes, rows, "tier", names)
        axes.set_ylim(bottom=0.0)
        axes.set_ylabel("mean absolute error [h]")
        axes.set_xlabel("closest history of the job")

    return _chart("Error by history", rows, "tier", draw, "“none” are users without any ended job.")


def ablations(document: dict[str, Any]) -> Chart:
    """Return what the error grows by when a family of features is taken away."""
    rows = document["ablations"]
    title = "What each family of features is worth"
    if not rows:
        return Chart(title, "not measured in this backtest", None)
    growth = {row["family"]: row["mae_h_without"] - row["mae_h"] for row in rows}
    ordered = sorted(growth, key=lambda family: float(growth[family]))

    def draw(axes: Axes) -> None:
        axes.barh(ordered, [growth[family] for family in ordered], color=SERIES[0])
        axes.axvline(0.0, color=SERIES[1], linewidth=1.0)
        axes.set_xlabel("added mean absolute error without it [h]")

    said = sentence([(family, f"{growth[family]:+.3f} h") for family in reversed(ordered)])
    note = "One model on the same jobs, once with all features and once without the family."
    return Chart(title, f"Added mean absolute error without the family: {said}", draw, note)


def _chart(title: str, rows: Rows, key: str, draw: Any, note: str = "") -> Chart:
    said = sentence([(row[key], hours(row["mae_h"])) for row in rows])
    return Chart(title, f"Mean absolute error of the forecast by {key}: {said}", draw, note)


def _compared(document: dict[str, Any], rules: int) -> list[str]:
    request = of_method(document, "request")
    names = [document["methods"][0]["name"]]
    names += [request["name"]] if request and document["with_request"] else []
    return names + [row["name"] for row in best_baselines(document, rules)]


def _filled(rows: Rows) -> Rows:
    return [row for row in rows if row["jobs"]]


def _values(rows: Rows, name: str) -> np.ndarray:
    return np.array([row["mae_h_by_method"][name] for row in rows], float)


def _lines(axes: Axes, rows: Rows, names: list[str]) -> None:
    months = month_axis(axes, rows)
    for i, name in enumerate(names):
        axes.plot(months, _values(rows, name), color=SERIES[i], marker=MARKERS[i], linestyle=DASHES[i], label=name)
    axes.set_ylim(bottom=0.0)
    axes.set_ylabel("mean absolute error [h]")
    legend(axes)


def month_axis(axes: Axes, rows: Rows) -> np.ndarray:
    """Label the x axis with as many months as fit; return where the rows stand, int64[rows]."""
    months = np.array([row["month"] for row in rows], "datetime64[M]")
    place = months.astype(np.int64)
    step = -(-(int(place[-1] - place[0]) + 1) // MOST_TICKS)
    shown = np.arange(place[0], place[-1] + 1, step)
    axes.set_xticks(shown, [str(month) for month in shown.astype("datetime64[M]")])
    axes.set_xlim(float(place[0]) - 0.5, float(place[-1]) + 0.5)
    axes.set_xlabel("month of submission (UTC)")
    return place


def _dots(axes: Axes, rows: Rows, key: str, names: list[str]) -> None:
    place = np.arange(len(rows))
    for i, name in enumerate(names):
        beside = place + 0.16 * (i - (len(names) - 1) / 2)
        axes.plot(beside, _values(rows, name), MARKERS[i], color=SERIES[i], markersize=8, label=name)
    axes.set_xticks(place, [fill(str(row[key]).replace("+", "+ "), 8) for row in rows])
    axes.set_xlim(-0.5, len(rows) - 0.5)
    axes.grid(visible=False, axis="x")
    legend(axes, 3)


def _by_magnitude(axes: Axes) -> None:
    # an error of zero has no place on this scale and is not drawn
    axes.set_yscale("log", nonpositive="mask")
    lower, upper = axes.get_ylim()
    shown = [seconds for seconds in TIMES if lower <= seconds / HOUR <= upper]
    axes.set_yticks([seconds / HOUR for seconds in shown], [TIMES[seconds] for seconds in shown])
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_ylabel("mean absolute error")
