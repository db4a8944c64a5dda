"""Predicted and requested against true run times, as densities: fifty thousand points say nothing and weigh much."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from rt_predictor_training.outcome import Outcome
from rt_predictor_training.report.charts.svg import MUTED, TIMES, Chart
from rt_predictor_training.report.words import percent

BINS = 64
COLOUR = (0.18, 0.53, 0.83)
"""Red, green, blue. An image cannot follow the page's scheme: this is readable on both; the density is its opacity."""

WITHIN = 2.0
"""The alternative text says how many forecasts are within this factor of the truth."""


def predicted(outcome: Outcome) -> Chart:
    """Return predicted against true run times."""
    return _chart("Predicted against actual run time", "predicted", outcome.methods[0].point, outcome.run)


def requested(outcome: Outcome) -> Chart:
    """Return requested wallclocks against true run times, of the jobs that state one."""
    known = ~np.isnan(outcome.wallclock_req)
    return _chart("Requested against actual run time", "requested", outcome.wallclock_req[known], outcome.run[known])


def _chart(title: str, word: str, said: np.ndarray, run: np.ndarray) -> Chart:
    if not len(run):
        return Chart(title, "no job states a request", None)
    near = (np.maximum(said, run) <= WITHIN * np.minimum(said, run)).mean()
    alt = f"Density of {len(run):,} jobs: for {percent(near)} of them the {word} time is within a factor of two."

    def draw(axes: Axes) -> None:
        _density(axes, run, said)
        axes.set_xlabel("actual run time")
        axes.set_ylabel(f"{word} run time")

    return Chart(title, alt, draw, f"{alt} Stronger colour means more jobs; on the dashed line both are equal.")


def _density(axes: Axes, x: np.ndarray, y: np.ndarray) -> None:
    x, y = np.log10(np.maximum(x, 1.0)), np.log10(np.maximum(y, 1.0))
    lower, upper = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
    lower, upper = lower - 0.05, upper + 0.05
    counts, _, _ = np.histogram2d(x, y, bins=BINS, range=[[lower, upper], [lower, upper]])
    axes.imshow(
        _image(counts.T), extent=(lower, upper, lower, upper), origin="lower", interpolation="none", aspect="auto"
    )
    axes.plot([lower, upper], [lower, upper], color=MUTED, linestyle="--", linewidth=1.0)
    ticks = {float(np.log10(seconds)): label for seconds, label in TIMES.items()}
    shown = [place for place in ticks if lower <= place <= upper]
    axes.set_xticks(shown, [ticks[place] for place in shown])
    axes.set_yticks(shown, [ticks[place] for place in shown])


def _image(counts: np.ndarray) -> np.ndarray:
    # logarithmic: a single job stays visible beside the thousands of the densest cell
    opacity = np.log1p(counts) / np.log1p(counts.max())
    image = np.empty((*counts.shape, 4))
    image[..., :3] = COLOUR
    image[..., 3] = np.where(counts > 0, 0.15 + 0.85 * opacity, 0.0)
    return image
