"""``rtp predict``: one job, from its script or from flags."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rt_predictor_client.cli.connection import Connection, checked_risk
from rt_predictor_client.cli.job import job_parameters, request_of
from rt_predictor_client.errors import Exit

if TYPE_CHECKING:
    from rt_predictor_client.requests import Forecast


@click.command()
@job_parameters
@click.option("--risk", type=float, help="Accepted chance that the job is killed at the recommended time.")
@click.option("--explain", is_flag=True, help="Show what moves the median away from that of a typical job.")
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
    strict, as_json, explain = (bool(given.pop(name)) for name in ("strict", "as_json", "explain"))
    request = request_of(script, given)
    checked_risk(risk)
    from rt_predictor_client import output

    connection: Connection = context.obj
    with connection.client() as client:
        forecast = client.predict(request, risk, explain=explain)
    if as_json:
        output.print_json(output.forecast_document(forecast))
    else:
        output.print_pairs(output.forecast_rows(forecast))
        _print_explanation(forecast)
    if strict and forecast.degraded is not None:
        context.exit(Exit.DEGRADED)


def _print_explanation(forecast: Forecast) -> None:
    from rt_predictor_client import output

    told = forecast.explanation
    if told is None:
        return
    click.echo()
    if told.unexplained is not None:
        click.echo(f"no explanation: {output.unexplained_words(told.unexplained)}")
    else:
        output.print_table(("why", "minutes"), output.explanation_rows(forecast.median_seconds, told))
