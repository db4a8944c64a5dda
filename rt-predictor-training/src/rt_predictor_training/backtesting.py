"""The backtest's command: logs in, figures, page and table out."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from rt_predictor_core.numbers import strict_json
from rt_predictor_formats.errors import Problem
from rt_predictor_training.backtest import Plan, backtest
from rt_predictor_training.checkpoint import Checkpoint
from rt_predictor_training.ingest import Intake
from rt_predictor_training.outcome import Outcome
from rt_predictor_training.profiles import load_profile
from rt_predictor_training.progress import Progress
from rt_predictor_training.report.json import document
from rt_predictor_training.report.table import backtest_table

MINUTE = 60.0


@dataclass(frozen=True)
class Request:
    """What the command was asked for; see its options."""

    paths: tuple[Path, ...]
    together: bool
    json_path: Path | None
    html_path: Path | None
    max_minutes: float | None
    blocks: int
    profile: str
    queued: bool | None
    sample_size: int | None
    chunk_rows: int | None
    timezone: str
    rejects: Path | None
    ablations: bool
    work: Path | None


def run(request: Request, progress: Progress) -> None:
    """Test each log, write what was asked for, and print the tables.

    Raises Problem for everything that a person can mend, before the first model is fitted where that can be known.
    """
    for path in filter(None, (request.json_path, request.html_path)):
        _must_be_writable(path)
    logs: Sequence[tuple[Path, ...]] = [request.paths] if request.together else [(path,) for path in request.paths]
    outcomes = [_tested(request, paths, progress) for paths in logs]
    documents = [document(outcome) for outcome in outcomes]
    if request.json_path:
        _write(request.json_path, strict_json(documents[0] if len(documents) == 1 else documents))
    if request.html_path:
        # the chart library is only loaded where a page is wanted
        from rt_predictor_training.report.html import page

        _write(request.html_path, page(outcomes))
    console = Console(width=None if sys.stdout.isatty() else 140)
    for one in documents:
        console.print(backtest_table(one))
    for path in filter(None, (request.json_path, request.html_path)):
        click.echo(f"wrote {path}")


def _tested(request: Request, paths: tuple[Path, ...], progress: Progress) -> Outcome:
    profile = load_profile(request.profile)
    if request.queued is not None:
        profile = replace(profile, queued=request.queued)
    intake = Intake(
        paths=paths,
        chunk_rows=request.chunk_rows or profile.chunk_rows,
        timezone=request.timezone,
        sample_size=request.sample_size,
        rejects=request.rejects,
    )
    memory = _memory(request, intake, profile)
    if memory and (done := memory.finished()):
        click.echo(f"note: {done} blocks are known from an interrupted run and are not done again", err=True)
    budget = float("inf") if request.max_minutes is None else request.max_minutes * MINUTE / len(request.paths)
    plan = Plan(blocks=request.blocks, most_seconds=budget, ablate=request.ablations)
    outcome = backtest(paths[0].name, intake, profile, plan, progress, memory)
    if outcome.blocks < request.blocks:
        fitted = f"{outcome.blocks} of {request.blocks} blocks"
        click.echo(f"note: --max-minutes was over after {fitted}; their models forecast the rest", err=True)
    if memory:
        memory.clear()
    return outcome


def _memory(request: Request, intake: Intake, profile: Any) -> Checkpoint | None:
    try:
        key = intake.key(asdict(profile), request.blocks)
    except OSError:
        return None  # reading the log says what is wrong with it
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Checkpoint(request.work or cache / "rt-predictor" / "backtest", key)


def _must_be_writable(path: Path) -> None:
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise _not_writable(path, "the folder does not exist or cannot be written")


def _write(path: Path, text: str) -> None:
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        unfinished.write_text(text, "utf-8")
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise _not_writable(path, error.strerror or str(error)) from error


def _not_writable(path: Path, why: str) -> Problem:
    return Problem("NOT_WRITABLE", why, place=str(path), remedy="name a file in a folder that you may write")
