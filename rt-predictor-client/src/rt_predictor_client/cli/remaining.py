"""``rtp remaining``: what is left of a running job."""

from __future__ import annotations

from dataclasses import asdict

import click

from rt_predictor_client.cli.connection import Connection, checked_risk
from rt_predictor_client.cli.job import job_parameters, request_of
from rt_predictor_client.errors import Exit
from rt_predictor_formats.errors import Problem
from rt_predictor_formats.times import parse_elapsed


@click.command()
@job_parameters
@click.option("--elapsed", required=True, help="How long it has run, in any of Slurm's forms (squeue -o %M).")
@click.option("--submit", help="When it was submitted: seconds since 1970 or ISO [when it started].")
@click.option("--risk", type=float, help="Accepted chance that the job is killed at the recommended time.")
@click.option("--strict", is_flag=True, help="Exit with 5 if the forecast is degraded.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
@click.pass_context
def remaining(
    context: click.Context, /, script: str | None, elapsed: str, risk: float | None, **given: str | int | bool | None
) -> None:
    """Forecast what is left of a running job.

    The job is read as by rtp predict. What is left is told given that it has run for --elapsed; the recommended
    time is the total, from its start.
    """
    strict, as_json, submit = bool(given.pop("strict")), bool(given.pop("as_json")), given.pop("submit")
    job = {**asdict(request_of(script, given)), "submit_time": submit}
    seconds = _seconds(elapsed)
    checked_risk(risk)
    from rt_predictor_client import output

    connection: Connection = context.obj
    with connection.client() as client:
        forecast = client.predict_remaining(job, seconds, risk)
    if as_json:
        output.print_json(output.remaining_document(forecast))
    else:
        output.print_pairs(output.remaining_rows(forecast))
    if strict and forecast.degraded is not None:
        context.exit(Exit.DEGRADED)


def _seconds(elapsed: str) -> int:
    try:
        return parse_elapsed(elapsed)
    except Problem as problem:
        raise Problem(problem.code, problem.thing, place="--elapsed", remedy=problem.remedy) from None
