"""``rtp predict``: one job, from its script or from flags."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import click

from rt_predictor_client.cli.connection import Connection, checked_risk, current_user
from rt_predictor_client.errors import Exit
from rt_predictor_formats.errors import Problem
from rt_predictor_formats.sbatch import JobRequest, parse_script

LARGEST_SCRIPT = 4 * 1024 * 1024
"""Longest script that is read [bytes]; Slurm's own limit."""


@click.command()
@click.argument("script", required=False, metavar="[JOB.SH]")
@click.option("--user", help="Login name [$USER].")
@click.option("--time", "-t", help="Requested time, in any of Slurm's forms.")
@click.option("--nodes", "-N", help="Requested nodes.")
@click.option("--processors", type=click.IntRange(1), help="Requested processors over all nodes.")
@click.option("--ntasks", "-n", help="Requested tasks; with --cpus-per-task of the script, the processors.")
@click.option("--gpus", "-G", help="Requested GPUs over all nodes.")
@click.option("--mem", help="Requested memory per node, such as 4G.")
@click.option("--partition", "-p", help="Partition.")
@click.option("--account", "-A", help="Account that is charged.")
@click.option("--qos", "-q", help="Quality of service.")
@click.option("--name", "--job-name", "-J", "name", help="Job name [the script's file name].")
@click.option("--risk", type=float, help="Accepted chance that the job is killed at the recommended time.")
@click.option("--strict", is_flag=True, help="Exit with 5 if the forecast is degraded.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
@click.pass_context
def predict(
    context: click.Context, /, script: str | None, risk: float | None, **given: str | int | bool | None
) -> None:
    """Forecast one job.

    JOB.SH (- for stdin) is read for its #SBATCH lines; options beat sbatch's variables, such as
    SBATCH_PARTITION, which beat the script.
    """
    strict, as_json = bool(given.pop("strict")), bool(given.pop("as_json"))
    request = _request(script, given)
    checked_risk(risk)
    from rt_predictor_client import output

    connection: Connection = context.obj
    with connection.client() as client:
        forecast = client.predict(request, risk)
    if as_json:
        output.print_json(output.forecast_document(forecast))
    else:
        output.print_pairs(output.forecast_rows(forecast))
    if strict and forecast.degraded is not None:
        context.exit(Exit.DEGRADED)


def _request(script: str | None, given: dict[str, str | int | bool | None]) -> JobRequest:
    user = given.pop("user")
    processors = given.pop("processors")
    request = parse_script(_text(script) if script is not None else "", _as_options(given), os.environ)
    if request.name is None and script not in {None, "-"}:
        request = replace(request, name=Path(str(script)).name)  # what sbatch names it
    if processors is not None:
        request = replace(request, processors_req=int(processors))
    return replace(request, user=current_user() if user is None else str(user))


def _as_options(given: dict[str, str | int | bool | None]) -> list[str]:
    """Return the flags in sbatch's long form, so that both are read by the same rules."""
    named = {"name": "job-name"}
    return [f"--{named.get(name, name)}={value}" for name, value in given.items() if value is not None]


def _text(script: str) -> str:
    try:
        if script == "-":
            content = sys.stdin.buffer.read(LARGEST_SCRIPT + 1)
        else:
            with Path(script).open("rb") as file:
                content = file.read(LARGEST_SCRIPT + 1)
    except OSError as error:
        reason = error.strerror or str(error)
        raise Problem("SCRIPT_UNREADABLE", reason, place=script, remedy="give a readable job script") from None
    if len(content) > LARGEST_SCRIPT or b"\0" in content:
        raise Problem("SCRIPT_INVALID", "this is no job script", place=script, remedy="give a text file below 4 MB")
    return content.decode("utf-8", errors="replace")
