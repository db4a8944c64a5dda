"""``rtp health``: whether the service serves."""

from __future__ import annotations

import click

from rt_predictor_client.cli.connection import Connection
from rt_predictor_client.errors import Exit


@click.command()
@click.pass_context
def health(context: click.Context) -> None:
    """Exit with 0 only if the service serves."""
    connection: Connection = context.obj
    with connection.client() as client:
        status = client.health()
        click.echo(f"{status} {client.address}")
    if status != "SERVING":
        context.exit(Exit.UNREACHABLE)
