"""The ``rtp`` command; grpc and rich are imported by the commands that need them, when they do."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence
from typing import Unpack

import click

from rt_predictor_client import __version__
from rt_predictor_client.cli.batch import batch
from rt_predictor_client.cli.connection import Connection
from rt_predictor_client.cli.ending import INTERRUPTED, ending
from rt_predictor_client.cli.health import health
from rt_predictor_client.cli.jobs import jobs
from rt_predictor_client.cli.model import model
from rt_predictor_client.cli.predict import predict
from rt_predictor_client.cli.remaining import remaining
from rt_predictor_client.cli.report import report
from rt_predictor_client.config import Flags
from rt_predictor_client.errors import EXIT_MEANINGS, Exit, exit_status
from rt_predictor_client.output import printable
from rt_predictor_formats.errors import Problem

_EPILOG = "\b\nExit status:\n" + "\n".join(f"  {status.value}  {text}" for status, text in EXIT_MEANINGS.items())


@click.group(epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="rtp", message="%(prog)s %(version)s")
@click.option(
    "--address",
    "--server",
    metavar="HOST:PORT[,...]",
    help="Where the service is, or its replicas [RT_PREDICTOR_ADDRESS, ~/.config/rtp.toml].",
)
@click.option("--timeout", type=float, metavar="SECONDS", help="How long to wait for an answer [10].")
@click.option("--tls/--no-tls", default=None, help="Encrypt the connection; implied by the next four.")
@click.option("--ca-file", metavar="PEM", help="Authorities that sign the service's certificate.")
@click.option("--cert-file", metavar="PEM", help="Your own certificate, for mutual TLS; with --key-file.")
@click.option("--key-file", metavar="PEM", help="Its private key.")
@click.option("--server-name", metavar="NAME", help="What the service's certificate is for, if not the address.")
@click.option("--token-file", metavar="FILE", help="Who you are [RT_PREDICTOR_TOKEN, which no other user can see].")
@click.pass_context
def rtp(context: click.Context, /, address: str | None, timeout: float | None, **flags: Unpack[Flags]) -> None:
    """Forecasts how long batch jobs will run."""
    context.obj = Connection(address, timeout, flags)


for _command in (predict, remaining, batch, report, jobs, model, health):
    rtp.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``rtp`` and exit with one of ``EXIT_MEANINGS``; every error is one line on stderr."""
    if threading.current_thread() is not threading.main_thread():
        sys.exit(_run(arguments))
    with ending() as ended:
        status = _run(arguments)
        sys.exit(ended() or status)


def _run(arguments: Sequence[str] | None) -> int:
    try:
        status = rtp.main(args=arguments, prog_name="rtp", standalone_mode=False)
        sys.stdout.flush()
    except Problem as problem:
        return _fail(str(problem), exit_status(problem))
    except click.ClickException as error:
        path = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "rtp"
        return _fail(f"{path}: {error.format_message()} see {path} --help [USAGE]", Exit.USAGE)
    except (click.Abort, KeyboardInterrupt):
        return _fail("interrupted", INTERRUPTED)
    except BrokenPipeError:
        # whoever read our output has closed it; python must not complain again when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.UNEXPECTED
    except Exception as error:  # noqa: BLE001 - the last line of defence: one line instead of a trace
        return _fail(f"unexpected {type(error).__name__}: {error}; please report this [UNEXPECTED]", Exit.UNEXPECTED)
    return status if isinstance(status, int) else Exit.OK


def _fail(text: str, status: int) -> int:
    click.echo(f"error: {printable(' '.join(text.split()))}", err=True)
    return int(status)
