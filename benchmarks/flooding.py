"""The load of ``flood``, a Go program: far more calls than Python could send beside a service on the same machine."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from load import GOOD, REFUSED, Heard, Load, send

_SOURCE = Path(__file__).with_name("flood")
_GO = ("go", "/usr/local/go/bin/go")


def go() -> str | None:
    """Return the Go command; None where there is none."""
    return next((found for name in _GO if (found := shutil.which(name))), None)


def flood(load: Load, work: Path, expected: tuple[str, ...] = (GOOD, REFUSED)) -> Heard:
    """Send a load from eight connections, see ``load.send``; exits where there is no Go to build the program with."""
    command, program = go(), work / "flood"
    if command is None:
        raise SystemExit("error: go: not found; install Go 1.25 or newer: https://go.dev/doc/install")
    program.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [command, "build", "-o", str(program.resolve()), "."], cwd=_SOURCE, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"error: go build: {done.stderr.strip()}")
    return send(load, expected=expected, program=(str(program),))
