"""``rtp jobs``: reported jobs of a user or an account, what they asked for, took, and were forecast to take."""

from __future__ import annotations

from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING

import click

from rt_predictor_client.cli.connection import Connection
from rt_predictor_formats.times import format_duration, human_duration

if TYPE_CHECKING:
    from rt_predictor_client.listing import JobRecord

DEFAULT_LIMIT = 20
"""Jobs that are shown unless told otherwise."""

_HEADER = ("job", "user", "submitted", "name", "requested", "ran", "forecast", "90 % interval", "state")


@click.command()
@click.option("--user", default="", help="Whose jobs; as the site tells names.")
@click.option("--account", default="", help="The account; as the site tells names.")
@click.option("--limit", type=click.IntRange(min=1), default=DEFAULT_LIMIT, show_default=True, help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
@click.pass_context
def jobs(context: click.Context, user: str, account: str, limit: int, as_json: bool) -> None:  # noqa: FBT001 - click's flag
    """List reported jobs, the one submitted last first."""
    from rt_predictor_client import output

    connection: Connection = context.obj
    with connection.client() as client:
        found = list(islice(client.jobs(user, account), limit))
    if as_json:
        output.print_json(output.document("jobs", {"jobs": [asdict(one) for one in found]}))
    elif found:
        output.print_table(_HEADER, [_row(one) for one in found])
    else:
        click.echo("no such jobs were reported")


def _row(job: JobRecord) -> tuple[str, ...]:
    said = job.forecast
    return (
        job.job_id,
        job.user,
        job.submit_time.strftime("%Y-%m-%d %H:%M") if job.submit_time else "",
        job.name,
        "" if job.wallclock_req is None else format_duration(job.wallclock_req),
        "" if job.run_seconds is None else human_duration(job.run_seconds),
        "" if said is None else human_duration(said.median_seconds),
        "" if said is None else f"{human_duration(said.lower_seconds)} - {human_duration(said.upper_seconds)}",
        job.state or _progress(job),
    )


def _progress(job: JobRecord) -> str:
    """Return how far a job has come whose state is not told."""
    if job.end_time is not None:
        return "ended" if job.start_time is not None else "withdrawn"
    return "runs" if job.start_time is not None else "waits"
