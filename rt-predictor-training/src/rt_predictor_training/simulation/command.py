"""The command ``rt-predictor-simulate``."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from rt_predictor_formats.errors import Problem
from rt_predictor_training.cli import reported
from rt_predictor_training.progress import Bars
from rt_predictor_training.simulation.names import INPUTS, SCHEDULERS

_PATH = click.Path(path_type=Path)


@click.command()
@click.option(
    "--data", "paths", multiple=True, required=True, type=_PATH, help="Accounting log; may be given repeatedly."
)
@click.option("--json", "out", type=click.Path(path_type=Path, dir_okay=False), help="Write all figures to this file.")
@click.option("--profile", default="quick", show_default=True, help="quick, standard, m2max, or a TOML file.")
@click.option(
    "--schedulers",
    multiple=True,
    type=click.Choice(SCHEDULERS),
    default=SCHEDULERS,
    show_default=True,
    help="Scheduler to run; may be given repeatedly.",
)
@click.option(
    "--inputs",
    multiple=True,
    type=click.Choice(INPUTS),
    default=INPUTS,
    show_default=True,
    help="Estimate to compare; may be given repeatedly.",
)
@click.option("--processors", type=click.IntRange(min=1), help="Size of the machine; default from the log.")
@click.option("--blocks", default=10, show_default=True, type=click.IntRange(min=1), help="Trainings over the log.")
@click.option("--shakes", default=5, show_default=True, type=click.IntRange(min=0), help="Shaken copies of the log.")
@click.option(
    "--shake-seconds",
    default=60,
    show_default=True,
    type=click.IntRange(min=1),
    help="How far a submit is moved at most.",
)
@click.option("--sample-size", type=click.IntRange(min=1), help="Simulate the newest N jobs only.")
@click.option("--timezone", default="UTC", show_default=True, help="Zone of times that carry none (IANA name).")
@click.option("--rejects", type=_PATH, help="Write refused rows with their reasons to this CSV file.")
@click.version_option(package_name="rt-predictor-training")
@reported
def simulate(paths: tuple[Path, ...], out: Path | None, profile: str, **options: Any) -> None:
    """Show what forecasts do to waiting: EASY backfilling over a log.

    Compares the requested time, the mean of the user's last two jobs, the ensemble's forecast and the true run time
    as the scheduler's estimate. Reads the formats of rt-predictor-train.
    """
    from rt_predictor_training.ingest import Intake, ingest
    from rt_predictor_training.profiles import load_profile
    from rt_predictor_training.simulation.report import document, remarks, table
    from rt_predictor_training.simulation.study import Plan, compare
    from rt_predictor_training.simulation.workload import machine_of, workload_of

    chosen = load_profile(profile)
    if out is not None:
        _check_writable(out)
    intake = Intake(paths, chosen.chunk_rows, options["timezone"], options["sample_size"], options["rejects"])
    names = ("schedulers", "inputs", "blocks", "shakes", "shake_seconds")
    plan = Plan(**{name: options[name] for name in names}, profile=chosen)
    with Bars() as bars:
        bars.stage("read", 1)
        jobs = ingest(intake, lambda *_: None)
        bars.finish()
        machine = machine_of(jobs, paths, options["processors"])
        study = compare(workload_of(jobs, machine, ", ".join(map(str, paths))), plan, bars)
    for line in remarks(study):
        click.echo(f"note: {line}", err=True)
    Console(width=None if sys.stdout.isatty() else 120).print(table(study))
    if out is not None:
        out.write_text(json.dumps(document(study), indent=1) + "\n", encoding="utf-8")
        click.echo(f"wrote {out}")


def _check_writable(out: Path) -> None:
    """Raise Problem JSON_UNWRITABLE now and not after all the work."""
    if not os.access(out if out.exists() else out.parent, os.W_OK):
        remedy = "name a file in a folder that exists and can be written to"
        raise Problem("JSON_UNWRITABLE", "the file given with --json cannot be written", place=str(out), remedy=remedy)
