"""``rtp predict``: one job, from its script or from flags."""

from __future__ import annotations

import click

from rt_predictor_client.cli.connection import Connection, checked_risk
from rt_predictor_client.cli.job import job_parameters, request_of
from rt_predictor_client.errors import Exit


@click.command()
@job_parameters
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
    request = request_of(script, given)
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
