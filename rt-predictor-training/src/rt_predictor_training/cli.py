"""The commands of training."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click
from rich.console import Console

from rt_predictor_core.compiled import unkept
from rt_predictor_formats.errors import Problem
from rt_predictor_training.progress import Bars

P = ParamSpec("P")
R = TypeVar("R")

_PATH = click.Path(path_type=Path)


def reported(command: Callable[P, R]) -> Callable[P, R]:
    """Turn a Problem into one line on stderr and exit status 1."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            try:
                return command(*args, **kwargs)
            except RuntimeError as error:
                raise unkept(error) from error
        except Problem as problem:
            click.echo(f"error: {problem}", err=True)
            sys.exit(1)

    return wrapped


@click.command()
@click.option("--data", "paths", multiple=True, type=_PATH, help="Accounting log; may be given repeatedly.")
@click.option("--models", required=True, type=_PATH, help="Folder of the models; the new one is published there.")
@click.option(
    "--profile",
    default="standard",
    show_default=True,
    envvar="RT_PREDICTOR_PROFILE",
    help="quick, standard, m2max, or a TOML file; also RT_PREDICTOR_PROFILE.",
)
@click.option("--sample-size", type=click.IntRange(min=1), help="Train on the newest N jobs only.")
@click.option("--chunk-rows", type=click.IntRange(min=1), help="Rows read at a time; default from the profile.")
@click.option("--memory", type=click.FloatRange(min=0.0, min_open=True), help="GiB to use; default from the profile.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True, help="Where to fit.")
@click.option("--queued/--no-queued", default=None, help="Learn from what waits, or not; default from the profile.")
@click.option("--timezone", default="UTC", show_default=True, help="Zone of times that carry none (IANA name).")
@click.option("--rejects", type=_PATH, help="Write refused rows with their reasons to this CSV file.")
@click.option("--update", is_flag=True, help="Go on from the current model with the log's new jobs alone.")
@click.option("--cluster", metavar="PLACE", help="Fit on a Dask cluster: local, slurm, or tcp://HOST:PORT.")
@click.option(
    "--workers", type=click.IntRange(min=1), help="Processes or jobs of the cluster; 2 if none are there yet."
)
@click.option("--cluster-wait", default=10.0, show_default=True, type=click.FloatRange(min=0), help="Minutes.")
@click.option("--force", is_flag=True, help="Publish the model even if it is worse than the current one.")
@click.option("--list", "listed", is_flag=True, help="Instead of training, list the models there are.")
@click.option("--rollback", metavar="VERSION", help="Instead of training, make an older model current again.")
@click.version_option(package_name="rt-predictor-training")
@reported
def train(paths: tuple[Path, ...], models: Path, *, listed: bool, rollback: str | None, **options: Any) -> None:
    """Train a model on an accounting log and publish it, unless it is worse than the current one.

    Formats: NREL Eagle (parquet, csv), SWF, Slurm sacct -P, and tables with sacct's columns.
    """
    chosen = [name for name, given in (("--data", paths), ("--list", listed), ("--rollback", rollback)) if given]
    if len(chosen) != 1:
        raise Problem(
            "OPTIONS",
            f"{' and '.join(chosen)} do not go together" if chosen else "nothing to do",
            remedy="give one of --data LOG, --list, and --rollback VERSION",
        )
    if paths:
        _train(paths, models, **options)
    elif rollback:
        _roll_back(models, rollback)
    else:
        from rt_predictor_training.report.versions import listing

        _console().print(listing(models))


def _train(paths: tuple[Path, ...], models: Path, **options: Any) -> None:
    from rt_predictor_training.cluster.command import engine_of
    from rt_predictor_training.devices import on_device
    from rt_predictor_training.ingest import FEWEST_JOBS, Intake
    from rt_predictor_training.memory import guard
    from rt_predictor_training.profiles import load_profile
    from rt_predictor_training.report.table import summary, tiers
    from rt_predictor_training.report.versions import promoted
    from rt_predictor_training.train import Order
    from rt_predictor_training.train import train as run

    chosen, notes = on_device(load_profile(options["profile"]), options["device"])
    for note in notes:
        click.echo(f"note: {note}", err=True)
    if options["memory"] is not None:
        chosen = replace(chosen, memory_gib=options["memory"])
    if options["queued"] is not None:
        chosen = replace(chosen, queued=options["queued"])
    rejects = options["rejects"]
    intake = Intake(
        paths=paths,
        chunk_rows=options["chunk_rows"] or chosen.chunk_rows,
        timezone=options["timezone"],
        sample_size=options["sample_size"],
        rejects=rejects,
        guard=guard(chosen, ", ".join(map(str, paths))),
        fewest=1 if options["update"] else FEWEST_JOBS,
    )
    place = (options["cluster"], options["workers"], options["cluster_wait"])
    with engine_of(*place, chosen) as (engine, happened), Bars() as bars:
        order = Order(intake, chosen, models, update=options["update"], force=options["force"], engine=engine)
        trained = run(order, bars)
    manifest = trained.manifest
    for note in (*happened, *trained.notes):
        click.echo(f"note: {note}", err=True)
    if manifest.rejected:
        where = f", see {rejects}" if rejects else "; name a file with --rejects to keep them"
        click.echo(f"note: {manifest.rejected} rows were refused{where}", err=True)
    _console().print(summary(manifest))
    if manifest.fold:
        _console().print(tiers(manifest.fold))
    for finding in trained.findings:
        if finding.section != "passed":
            click.echo(str(finding))
    took = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in manifest.stage_seconds.items())
    click.echo(f"{manifest.jobs} jobs, {took}, peak memory {manifest.peak_memory_mb:.0f} MB")
    click.echo(f"published {trained.path}, {promoted(manifest.promotion)}")


def _roll_back(models: Path, version: str) -> None:
    from rt_predictor_core.artifact.rollback import roll_back

    artifact = roll_back(models, version, time.time())
    if artifact is None:
        click.echo(f"{version} is current already; nothing was changed")
    else:
        click.echo(f"{version} is current again, published as {artifact.path}")


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else 100)


@click.command()
@click.option("--rows", default=100_000, show_default=True, type=click.IntRange(min=1), help="Number of jobs.")
@click.option("--seed", default=7, show_default=True, help="The same seed gives the same log.")
@click.option("--out", required=True, type=_PATH, help="Parquet file to write.")
@click.version_option(package_name="rt-predictor-training")
@reported
def synthesize(rows: int, seed: int, out: Path) -> None:
    """Write a synthetic accounting log with the statistics of NREL's Eagle."""
    from rt_predictor_core.sources.synthetic import write_parquet

    with Bars() as bars:
        bars.stage("synthesize", rows, "jobs")
        write_parquet(out, rows, seed, on_progress=bars.advance)
    click.echo(f"wrote {rows} jobs to {out}")


@click.command()
@click.option(
    "--data", "paths", multiple=True, required=True, type=_PATH, help="Accounting log; may be given repeatedly."
)
@click.option("--together", is_flag=True, help="The files of --data are parts of one log, not logs of their own.")
@click.option("--json", "json_path", type=_PATH, help="Write the figures to this file; a list for several logs.")
@click.option("--html", "html_path", type=_PATH, help="Write one page with charts to this file.")
@click.option("--max-minutes", type=click.FloatRange(min=0, min_open=True), help="Fit no more models after this time.")
@click.option("--blocks", default=24, show_default=True, type=click.IntRange(min=1), help="How often to train.")
@click.option("--profile", default="quick", show_default=True, help="quick, standard, m2max, or a TOML file.")
@click.option("--sample-size", type=click.IntRange(min=1), help="Test on the newest N jobs only.")
@click.option("--chunk-rows", type=click.IntRange(min=1), help="Rows read at a time; default from the profile.")
@click.option("--queued/--no-queued", default=None, help="Learn from what waits, or not; default from the profile.")
@click.option("--timezone", default="UTC", show_default=True, help="Zone of times that carry none (IANA name).")
@click.option("--rejects", type=_PATH, help="Write refused rows with their reasons to this CSV file.")
@click.option("--ablations/--no-ablations", default=True, help="Measure what each family of features is worth.")
@click.option("--work", type=_PATH, help="Keep finished blocks here until the end; default: the user's cache folder.")
@click.version_option(package_name="rt-predictor-training")
@reported
def backtest(paths: tuple[Path, ...], **options: Any) -> None:
    """Test on an accounting log how good the forecasts would have been, beside what the site has today.

    Interrupted, it goes on where it was when it is started again with the same logs and options.
    """
    from rt_predictor_training.backtesting import Request, run

    with Bars() as bars:
        run(Request(paths=paths, **options), bars)
