"""How each stage of a training run grows with the log, from 100,000 to 11 million synthetic jobs.

Every size is trained by the real command in a fresh process. The start-up, what the stages take on a log of hardly any
jobs, is measured first, shown in the first row, and taken off before a slope is fitted: it would hide growth.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from logs import WORK, synthetic
from ours import train
from results import Benchmark
from tables import cores, markdown

SIZES = (100_000, 316_000, 1_000_000, 3_160_000, 11_000_000)
START_UP_JOBS = 1_000
"""A log of so many jobs shows what a run costs before the jobs count; it also compiles the kernels once."""

TOLERANCE = 0.1
"""A slope may be steeper than that of n log n by so much: two runs of one size differ by up to a tenth."""

SHORT_SECONDS, ABOVE_START_UP = 1.0, 2.0
"""A time counts from so many seconds and so many times the start-up on: below, it is mostly noise."""

PLOT = Path(__file__).with_name("growth.svg")
_NOT_STAGES = {"jobs", "profile", "peak MB", "MAE h"}


def measure(sizes: Sequence[int], profile: str, work: Path, *, resume: bool) -> Iterator[dict[str, Any]]:
    """Yield a row per size, the start-up first: seconds of each stage and of the whole run, peak memory [MB], MAE [h].

    With ``resume``, a size that an earlier run with this profile finished is not measured again.
    """
    for jobs in (START_UP_JOBS, *sorted(sizes)):
        kept = work / f"growth-{Path(profile).stem}-{jobs}.json"
        if not (resume and kept.exists()):
            row = _row(jobs, profile, work)
            kept.write_text(json.dumps(row), "utf-8")
        yield json.loads(kept.read_text("utf-8"))


def _row(jobs: int, profile: str, work: Path) -> dict[str, Any]:
    log = synthetic(work, jobs)
    if jobs == START_UP_JOBS:
        train(log, profile, work, "growth-models")
    training = train(log, profile, work, "growth-models")
    stages = training.manifest["stage_seconds"]
    return {
        "jobs": jobs,
        "profile": Path(profile).stem,
        **stages,
        "start and publish": training.seconds - sum(stages.values()),
        "whole run": training.seconds,
        "peak MB": training.manifest["peak_memory_mb"],
        "MAE h": training.ensemble["mae_h"],
    }


def stages_of(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of what was timed."""
    return [name for name in rows[0] if name not in _NOT_STAGES]


def slope(jobs: np.ndarray, seconds: np.ndarray) -> float:
    """Return the exponent p of seconds ~ jobs ** p: the slope of log(seconds) over log(jobs)."""
    return float(np.polyfit(np.log(jobs), np.log(np.maximum(seconds, 1e-3)), 1)[0])


def upper_half(rows: Sequence[Mapping[str, Any]], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return jobs and seconds of a stage for the upper half of the sizes, the start-up, the first row, taken off.

    Sizes at which the stage takes next to no time, or hardly more than its start-up, are left out.
    """
    start, sizes = rows[0][name], rows[1:]
    least = max(SHORT_SECONDS, ABOVE_START_UP * start)
    kept = [row for row in sizes[-(len(sizes) // 2 + 1) :] if row[name] >= least]
    return np.array([row["jobs"] for row in kept], float), np.array([row[name] - start for row in kept], float)


def exponents(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the exponent of each stage whose time counts at two sizes at least."""
    points = {name: upper_half(rows, name) for name in stages_of(rows)}
    return {name: slope(*point) for name, point in points.items() if len(point[0]) > 1}


def too_steep(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the stages that grow faster than n log n over the same sizes."""
    steep = []
    for name, exponent in exponents(rows).items():
        jobs, _ = upper_half(rows, name)
        if exponent > slope(jobs, jobs * np.log(jobs)) + TOLERANCE:
            steep.append(name)
    return steep


def text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the table, with the exponents as last row, and the check against n log n."""
    columns = {"jobs": ",", **dict.fromkeys(stages_of(rows), ".1f"), "peak MB": ",.0f", "MAE h": ".3f"}
    lines = [markdown(columns, rows)]
    if len(rows) > 2:  # noqa: PLR2004 - a slope needs two sizes beside the start-up
        lines.append("")
        lines.append(markdown({"exponent of": "", "p": ".2f"}, _named(exponents(rows))))
        lines.append("")
        lines.append(f"grows faster than n log n: {', '.join(too_steep(rows)) or 'none'}")
    return "\n".join([f"Profile {rows[0]['profile']}, {cores()} cores; times in seconds.", "", *lines])


def _named(values: Mapping[str, float]) -> list[dict[str, Any]]:
    return [{"exponent of": name, "p": value} for name, value in values.items()]


def draw(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw the stages' seconds over the jobs, both logarithmic, with n and n log n as guides, as SVG."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams["svg.hashsalt"] = "growth"
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot(xscale="log", yscale="log", xlabel="jobs of the log", ylabel="seconds")
    sizes = rows[1:]
    jobs = np.array([row["jobs"] for row in sizes], float)
    for name in stages_of(rows):
        axes.plot(jobs, [row[name] for row in sizes], marker="o", label=name)
    first = min(row["whole run"] for row in sizes)
    for label, guide, style in (("n", jobs, ":"), ("n log n", jobs * np.log(jobs), "--")):
        axes.plot(jobs, first * guide / guide[0], style, color="grey", label=label)
    axes.grid(visible=True, which="major", alpha=0.3)
    figure.legend(loc="outside right upper")
    figure.savefig(path, format="svg", metadata={"Date": None})


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of jobs")
    parser.add_argument("--profile", default="standard", help="quick, standard, m2max, or a TOML file")
    parser.add_argument("--work", type=Path, default=WORK, help="folder of logs and models; default: benchmarks/work")
    parser.add_argument("--plot", type=Path, default=PLOT, help="SVG file to draw; default: benchmarks/growth.svg")
    parser.add_argument("--resume", action="store_true", help="keep the sizes that an earlier run has finished")


def run(asked: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure, draw, and return the rows."""
    rows = []
    for row in measure(asked.sizes, asked.profile, asked.work, resume=asked.resume):
        rows.append(row)
        print(f"{row['jobs']:>10,} jobs: {row['whole run']:.1f} s", flush=True)
    draw(rows, asked.plot)
    return rows


BENCHMARK = Benchmark(
    "growth",
    __doc__,
    arguments,
    run,
    text,
    small=("--sizes", "10000", "31600", "100000", "--profile", "quick", "--plot", str(WORK / "growth-small.svg")),
)

if __name__ == "__main__":
    BENCHMARK.main()
