"""A job as a command names it: its script, and options that beat it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from rt_predictor_client.cli.connection import current_user
from rt_predictor_formats.errors import Problem
from rt_predictor_formats.sbatch import LARGEST_SCRIPT, JobRequest, decode_script, parse_script

_SCRIPT = click.argument("script", required=False, metavar="[JOB.SH]")
_OPTIONS = (
    click.option("--user", help="Login name [$USER]."),
    click.option("--time", "-t", help="Requested time, in any of Slurm's forms."),
    click.option("--nodes", "-N", help="Requested nodes."),
    click.option("--processors", type=click.IntRange(1), help="Requested processors over all nodes."),
    click.option("--ntasks", "-n", help="Requested tasks; with --cpus-per-task of the script, the processors."),
    click.option("--gpus", "-G", help="Requested GPUs over all nodes."),
    click.option("--mem", help="Requested memory per node, such as 4G."),
    click.option("--partition", "-p", help="Partition."),
    click.option("--account", "-A", help="Account that is charged."),
    click.option("--qos", "-q", help="Quality of service."),
    click.option("--name", "--job-name", "-J", "name", help="Job name [the script's file name]."),
)

Given = dict[str, str | int | bool | None]
"""Values of a command's options by their names; None where one was not given."""


def job_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command an option for each part of a request."""
    for parameter in reversed(_OPTIONS):
        command = parameter(command)
    return command


def job_parameters(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the script as its argument and an option for each part of a request."""
    return _SCRIPT(job_options(command))


def request_of(script: str | None, given: Given, environment: Mapping[str, str] = os.environ) -> JobRequest:
    """Return the request of a script, if one is named, overridden by what was given; takes the job's options out."""
    user = given.pop("user")
    processors = given.pop("processors")
    request = parse_script(_text(script) if script is not None else "", _as_options(given), environment)
    if request.name is None and script not in {None, "-"}:
        request = replace(request, name=Path(str(script)).name)  # what sbatch names it
    if processors is not None:
        request = replace(request, processors_req=int(processors))
    return replace(request, user=current_user() if user is None else str(user))


def _as_options(given: Given) -> list[str]:
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
    return decode_script(content, script)
