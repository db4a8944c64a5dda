"""Charts as SVG that stands inside a page: text stays text, colours follow the page's scheme, nothing is fetched."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

from markupsafe import Markup, escape
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from rt_predictor_formats.times import human_duration

SIZE = (4.6, 3.3)
"""Inches; narrow, so that a phone shows the text hardly smaller than it is."""

# The library knows no CSS variables. It draws with these placeholders, which nothing else uses, and the page's
# stylesheet says what they are by day and by night.
INK, MUTED, GRID = "#010a01", "#010a02", "#010a03"
SERIES = ("#020a01", "#020a02", "#020a03", "#020a04")
"""Colours of methods: the ensemble, the request, the best rules."""

_VARIABLES = {INK: "--ink", MUTED: "--muted", GRID: "--grid"} | {
    colour: f"--series-{i}" for i, colour in enumerate(SERIES)
}

# shapes tell the series apart where colours do not
MARKERS = ("o", "s", "^", "D")
DASHES = ("-", "--", ":", "-.")

TIMES = {seconds: human_duration(seconds) for seconds in (1, 10, 60, 600, 3600, 36_000, 345_600, 3_456_000)}
"""Where a logarithmic axis of durations [s] has its ticks."""

_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.size": 10,
    "text.parse_math": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "figure.facecolor": "none",
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "image.composite_image": False,
}
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


@dataclass(frozen=True)
class Chart:
    """A chart that is not drawn yet.

    Attributes
    ----------
    title: what it shows. alt: what it says, in words, for those who cannot see it. draw: fills the axes; None where
    the log gives nothing to draw, and then ``alt`` says why. note: how to read it.
    """

    title: str
    alt: str
    draw: Callable[[Axes], None] | None
    note: str = ""


def render(chart: Chart, name: str) -> Markup:
    """Return the chart as one SVG element, empty if there is nothing to draw; ``name`` is unique in the page."""
    if chart.draw is None:
        return Markup()
    style: Any = {**_STYLE, "svg.hashsalt": name}
    with rc_context(style):
        figure = Figure(figsize=SIZE, layout="constrained")
        chart.draw(figure.subplots())
        buffer = StringIO()
        figure.savefig(buffer, format="svg", metadata=_NO_METADATA)
    return Markup(_fit_for_a_page(buffer.getvalue(), chart))  # noqa: S704 - the library and escape() have escaped it


def _fit_for_a_page(text: str, chart: Chart) -> str:
    text = text[text.index("<svg") :]
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    # the groups' names repeat from chart to chart, and nothing points at them
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    opening, rest = text.split(">", 1)
    return f'{opening} role="img" aria-label="{escape(chart.alt)}"><title>{escape(chart.title)}</title>{rest}'


def legend(axes: Axes, columns: int = 2) -> None:
    """Put the legend above the axes, where it hides nothing."""
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=columns, borderaxespad=0.2)


def in_percent(axes: Axes, *, both: bool = False) -> None:
    """Write the values of the y axis, or of both, as percentages."""
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    if both:
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))


def diagonal(axes: Axes, lower: float, upper: float) -> None:
    """Draw the line on which measured and nominal values are equal."""
    axes.plot([lower, upper], [lower, upper], color=MUTED, linestyle="--", linewidth=1.0, zorder=1)


def sentence(values: Sequence[tuple[str, str]]) -> str:
    """Return labelled values in one sentence, as ``a 1 h, b 2 h.``, for alternative texts."""
    return ", ".join(f"{label} {value}" for label, value in values) + "."
