"""The comparison as a JSON document and as a table for a terminal."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from rt_predictor_training.simulation.forecasters import warm_up_jobs
from rt_predictor_training.simulation.measures import MEASURES, spread
from rt_predictor_training.simulation.study import Result, Study


def document(study: Study) -> dict[str, Any]:
    """Return the study for machines; docs/how-to/simulate-scheduling.md describes it."""
    plan, workload = study.plan, study.workload
    return {
        "trace": list(workload.jobs.facts.sources),
        "jobs": len(workload),
        "dropped": workload.dropped,
        "run_cut_to_request": workload.cut,
        "processors": workload.machine.processors,
        "processors_from": workload.machine.known_from,
        "warm_up_jobs": warm_up_jobs(len(workload)),
        "blocks": plan.blocks,
        "shakes": plan.shakes,
        "shake_seconds": plan.shake_seconds,
        "profile": plan.profile.name,
        "seconds": study.stage_seconds,
        "runs": [_run(result) for result in study.results],
    }


def _run(result: Result) -> dict[str, Any]:
    shakes = {"all": result.shaken_whole, "after_warm_up": result.shaken_late}
    return {
        "scheduler": result.scheduler,
        "input": result.estimate,
        "all": result.whole,
        "after_warm_up": result.late,
        "shaken": {name: spread(runs) for name, runs in shakes.items()} if result.shaken_whole else None,
    }


def table(study: Study) -> Table:
    """Return what a person compares first."""
    out = Table(title=f"{len(study.workload)} jobs on {study.workload.machine.processors} processors")
    for heading in ("scheduler", "input"):
        out.add_column(heading)
    headings = ("bounded slowdown", "shaken mean (range)", "95 %", "max", "wait h", "use %", "under %")
    for heading in (*headings, "after warm-up"):
        out.add_column(heading, justify="right")
    for result in study.results:
        slowdown, *rest = (result.whole[name] for name in MEASURES)
        p95, most, wait, use, under = rest
        out.add_row(
            result.scheduler,
            result.estimate,
            f"{slowdown:.2f}",
            _shaken(result),
            f"{p95:.1f}",
            f"{most:.0f}",
            f"{wait:.2f}",
            f"{100 * use:.1f}",
            f"{100 * under:.1f}",
            f"{result.late['bounded_slowdown']:.2f}",
        )
    return out


def _shaken(result: Result) -> str:
    if not result.shaken_whole:
        return "-"
    values = spread(result.shaken_whole)["bounded_slowdown"]
    return f"{values['mean']:.2f} ({values['least']:.1f}-{values['greatest']:.1f})"


def remarks(study: Study) -> list[str]:
    """Return what a person should know about the workload: the machine, what was left out, what was cut."""
    workload = study.workload
    lines = [f"{workload.machine.processors} processors: {workload.machine.known_from}"]
    lines += [f"left out, {reason}: {count} jobs" for reason, count in workload.dropped.items() if count]
    if workload.cut:
        lines.append(f"ran longer than requested, cut to the request: {workload.cut} jobs")
    return lines
