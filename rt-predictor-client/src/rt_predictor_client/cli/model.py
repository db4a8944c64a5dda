"""``rtp model``: which models the service has, and how good they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rt_predictor_client.cli.connection import Connection

if TYPE_CHECKING:
    from rt_predictor_client.requests import ModelInfo


@click.command()
@click.argument("version", default="")
@click.option("--list", "as_list", is_flag=True, help="List all models, newest first.")
@click.option("--evaluation", is_flag=True, help="Show how it did by month, run time and history, and why.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
@click.pass_context
def model(context: click.Context, version: str, as_list: bool, evaluation: bool, as_json: bool) -> None:  # noqa: FBT001 - click's flags
    """Show the model that answers now, or VERSION."""
    if as_list and (version or evaluation):
        raise click.UsageError("give VERSION or --evaluation, or --list alone.", context)
    if evaluation:
        from rt_predictor_client.cli import evaluation as evaluations

        evaluations.show(context.obj, version, as_json=as_json)
        return
    from rt_predictor_client import output

    connection: Connection = context.obj
    with connection.client() as client:
        models = client.models() if as_list else (client.model(version),)
    if as_json:
        output.print_json(output.models_document(models))
    elif as_list:
        _print_list(models)
    else:
        output.print_pairs(output.model_rows(models[0]))
        _print_scores(models[0])
        _print_dial(models[0])


def _print_list(models: tuple[ModelInfo, ...]) -> None:
    from rt_predictor_client import output

    rows = [(m.version, output.day(m.created_time), str(m.jobs), m.profile, "*" if m.current else "") for m in models]
    output.print_table(("version", "created", "jobs", "profile", "current"), rows)


def _print_scores(shown: ModelInfo) -> None:
    from rt_predictor_client import output

    if not shown.scores:
        return
    rows = [
        (
            score.name,
            f"{score.mae_hours:.2f} h",
            f"{score.median_ae_minutes:.1f} min",
            output.percent(score.under_rate),
            "" if score.coverage_90 is None else output.percent(score.coverage_90),
            "" if score.width_90_hours is None else f"{score.width_90_hours:.2f} h",
        )
        for score in shown.scores
    ]
    click.echo()
    output.print_table(("method", "mean error", "median error", "ran longer", "90 % covers", "90 % width"), rows)


def _print_dial(shown: ModelInfo) -> None:
    from rt_predictor_client import output

    if not shown.dial:
        return
    rows = [
        (
            output.percent(one.risk),
            output.percent(one.measured_rate),
            "" if one.bound_to_request is None else output.percent(one.bound_to_request),
        )
        for one in shown.dial
    ]
    click.echo()
    output.print_table(("accepted risk", "would have killed", "recommended / requested"), rows)
