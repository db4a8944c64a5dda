"""The command: options to settings to service."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import click

# gRPC's core would write its own lines about what is reported as one line here; must be set before its first import
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

_PATH = click.Path(path_type=Path)

MISCONFIGURED = 78
"""Exit status, EX_CONFIG of sysexits.h: what starts the service need not try again before somebody mends a setting."""

_OF_SETTINGS = {
    "SETTING_INVALID",
    "INSECURE_LISTEN",
    "CERTIFICATE_INVALID",
    "ACCESS_INVALID",
    "FILE_UNREADABLE",
    "NGINX_MISSING",
}
"""Problems that the same settings, with the same files, have at each start."""


@click.group(invoke_without_command=True, context_settings={"max_content_width": 120})
@click.option("--models", type=_PATH, help="Folder of the models; the newest valid one answers.  [default: models]")
@click.option("--history", type=_PATH, help="Folder of the journal of reported jobs.  [default: history]")
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=int, help="Port of the gRPC service; 0 takes a free one.  [default: 50051]")
@click.option("--metrics-port", type=int, help="Port of the Prometheus metrics; 0 takes a free one.  [default: 8181]")
@click.option("--workers", type=int, help="Processes that answer on the port.  [default: 1]")
@click.option(
    "--nginx/--no-nginx", default=None, help="nginx before the workers, against overload.  [default: no-nginx]"
)
@click.option("--wait-for-model", is_flag=True, default=None, help="Start without a model and wait for one.")
@click.option("--drain-seconds", type=float, help="How long running calls may take after SIGTERM.  [default: 30]")
@click.option("--log-level", help="debug, info, warning or error.  [default: info]")
@click.version_option(package_name="rt-predictor-api")
@click.pass_context
def main(context: click.Context, /, **flags: Any) -> None:
    """Serve run time forecasts over gRPC, with Prometheus metrics.

    Every option, and more settings, can be given as an environment variable: --port as RT_PREDICTOR_PORT. An option
    overrides its variable. SIGTERM and SIGINT let running calls end.
    """
    if context.invoked_subcommand is None:
        guarded(lambda stop: _serve(flags, stop))


@main.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(["predict", "report", "history", "admin"]),
    help="What its bearer may do; may be given several times.",
)
def token(name: str, scopes: tuple[str, ...]) -> None:
    """Make a token for NAME, and its line for the access file.

    The token is shown this once and kept nowhere: the line holds its hash.
    """
    from rt_predictor_api.security import access

    def issue(_stop: Event) -> None:
        secret, line = access.issue(name, scopes)
        click.echo(f"token, for {name}: {secret}")
        click.echo(f"line, for RT_PREDICTOR_ACCESS_FILE: {line}")

    guarded(issue)


@main.command()
def ready() -> None:
    """Exit with 0 only if the service that runs here with the same settings is ready.

    It has a model and takes calls. Made for the health check of a container, and needs no token.
    """
    from rt_predictor_api import readiness, settings

    guarded(lambda _stop: readiness.check(settings.read({})))


@main.command()
@click.argument("file", type=_PATH)
@click.pass_context
def backup(context: click.Context, file: Path) -> None:
    """Write all models and the history to FILE, while the service runs or not.

    The folders are those of the options before this word, or of their variables.
    """

    def write(_stop: Event) -> None:
        from rt_predictor_api import backup, settings

        click.echo(_kept(backup.write(file, settings.read(_before(context)))) + f" in {file}")

    guarded(write)


@main.command()
@click.argument("file", type=_PATH)
@click.pass_context
def restore(context: click.Context, file: Path) -> None:
    """Bring models and history back from FILE, into folders that are empty or missing.

    The folders are those of the options before this word, or of their variables.
    """

    def read(_stop: Event) -> None:
        from rt_predictor_api import restore, settings

        click.echo(_kept(restore.read(file, settings.read(_before(context)))) + f" from {file}")

    guarded(read)


def _before(context: click.Context) -> dict[str, Any]:
    """Return the options that came before a command."""
    return dict(context.parent.params) if context.parent else {}


def _kept(kept: Any) -> str:
    events = "no events: Redis keeps them" if kept.events is None else f"{kept.events} events"
    return f"{len(kept.models)} models, {events}"


def guarded(run: Callable[[Event], None]) -> None:
    """Run with an event that SIGTERM and SIGINT set; a Problem becomes one line and status 1 or ``MISCONFIGURED``."""
    from rt_predictor_api.signals import event_of
    from rt_predictor_core.compiled import unkept
    from rt_predictor_formats.errors import Problem

    try:
        try:
            with event_of(signal.SIGTERM, signal.SIGINT) as stop:
                run(stop)
        except RuntimeError as error:
            raise unkept(error) from error
    except Problem as problem:
        click.echo(f"error: {problem}", err=True)
        sys.exit(MISCONFIGURED if problem.code in _OF_SETTINGS else 1)


def _serve(flags: dict[str, Any], stop: Event) -> None:
    from rt_predictor_api import logs, settings

    chosen = settings.read(flags)
    logs.configure(chosen.log_level)
    if chosen.workers > 1:
        # gRPC stays out of this process
        from rt_predictor_api.supervisor import Supervisor

        Supervisor(chosen).run(stop)
        return
    from rt_predictor_api.front.front import front_of
    from rt_predictor_api.server import Service

    front = front_of(chosen)
    try:
        Service(chosen, front=front).run(stop, settle)
    finally:
        if front:
            front.stop()


def settle() -> None:
    """Spare the collector what is there once the service listens, which stays: 200,000 objects and more."""
    gc.collect()
    gc.freeze()
