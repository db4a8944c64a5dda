"""Download NREL's Eagle data set: 11 million jobs, one parquet file of 253 MB, to data/.

    .venv/bin/python scripts/get_eagle.py        or: make data

The address: NREL's README (https://github.com/NREL/eagle-jobs) names the page
https://data.openei.org/submissions/5860, and docs/how-to/corporate-tls.md of NREL's
https://github.com/NatLabRockies/hpc-oda-commons the file behind it, ``EAGLE``. It was not downloaded from where this
was written, which had no way to that host; ``--url`` and ``--sha256`` are for the day when it moves or changes.

An interrupted download goes on where it was. Beside the file stands ``NAME.sha256``, as ``sha256sum`` writes it, and a
later run compares the file with it.
"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path, PurePosixPath
from typing import Self
from urllib.parse import unquote, urlsplit

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from download import download
from partial import explained, sha256_of
from rt_predictor_formats.errors import Problem, shown
from rt_predictor_training.cli import reported

ROOT = Path(__file__).resolve().parent.parent
PAGE = "https://data.openei.org/submissions/5860"
FILES = "https://data.openei.org/files/5860/"
EAGLE = f"{FILES}eagle_data.parquet"
KNOWN = ROOT / "scripts/eagle_data.sha256"

TELL_SECONDS = 10.0
"""How often it is said how far it is where there is no terminal [s]."""

INTERRUPTED = 130
"""Exit status after Ctrl-C, as a shell gives it."""

_SUM = re.compile(r"^([0-9a-f]{64}) [ *](.+)$", re.MULTILINE)


class Bar:
    """A progress bar on a terminal, elsewhere a line now and then; on stderr."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, soft_wrap=True, highlight=False)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("loading", total=None)
        self._told = time.monotonic()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def progress(self, done: int, total: int | None) -> None:
        """See ``download.Watcher``."""
        self._bar.update(self._task, completed=done, total=total)
        if not self._console.is_terminal and time.monotonic() - self._told >= TELL_SECONDS:
            self._told = time.monotonic()
            self._console.print(f"{done:,} of {total:,} bytes" if total else f"{done:,} bytes")

    def note(self, text: str) -> None:
        """See ``download.Watcher``."""
        self._console.print(f"note: {text}", markup=False)


def sums(path: Path) -> dict[str, str]:
    """Return the checksums in a file of ``sha256sum``, by file name; none where there is no such file."""
    if not path.is_file():
        return {}
    return {name: digits for digits, name in _SUM.findall(path.read_text(encoding="utf-8"))}


def beside(target: Path) -> Path:
    """Return where the checksum of a file is kept."""
    return target.with_name(f"{target.name}.sha256")


def expected(url: str, target: Path) -> str:
    """Return the checksum that a file should have: the known one of an address, else that of an earlier run, or ''."""
    known = sums(KNOWN).get(target.name, "") if url == FILES + target.name else ""
    return known or sums(beside(target)).get(target.name, "")


def get(url: str, target: Path, sha256: str) -> str:
    """Bring the file to ``target`` unless it is there, and say what was done.

    Raises
    ------
    Problem
        CHECKSUM_DIFFERS where another file stands there, which is left alone; else as ``download.download``.
    """
    with explained(target):
        if target.exists():
            found, size = _checked(target, sha256), target.stat().st_size
            said = "is there already, nothing was downloaded"
        else:
            with Bar() as bar:
                fetched = download(url, target, bar, sha256=sha256)
            found, size = fetched.sha256, fetched.size
            said = f"{fetched.received:,} bytes were downloaded"
        beside(target).write_text(f"{found}  {target.name}\n", encoding="utf-8")
    compared = "as it should be" if sha256 else "and nothing to compare it with"
    return f"{target}: {said}; {size:,} bytes, sha256 {found}, {compared}"


def _checked(target: Path, sha256: str) -> str:
    found = sha256_of(target)
    if sha256 and found != sha256:
        raise Problem(
            "CHECKSUM_DIFFERS",
            f"sha256 is {found} instead of {sha256}",
            place=str(target),
            remedy=f"remove it and run this again; or keep it as it is with --sha256 {found}",
        )
    return found


def _name(url: str) -> str:
    name = PurePosixPath(unquote(urlsplit(url).path)).name
    if not name:
        raise Problem("ADDRESS_INVALID", f"{shown(url)} ends with no file name", remedy="give a file's address")
    return name


def _digits(_: click.Context, __: click.Parameter, value: str) -> str:
    value = value.strip().lower()
    if value and not re.fullmatch(r"[0-9a-f]{64}", value):
        raise click.BadParameter("not 64 hexadecimal digits")
    return value


@click.command(epilog=f"The data set's page, with its terms: {PAGE}")
@click.option("--url", default=EAGLE, show_default=True, help="Address of the file.")
@click.option("--sha256", default="", callback=_digits, help="The checksum it must have; default: the known one.")
@click.option("--to", "folder", default=ROOT / "data", type=click.Path(path_type=Path), help="Folder; default: data/.")
@reported
def main(url: str, sha256: str, folder: Path) -> None:
    """Download NREL's Eagle data set; run it again after an interruption and it goes on where it was."""
    target = folder / _name(url)
    try:
        click.echo(get(url, target, sha256 or expected(url, target)))
    except KeyboardInterrupt:
        click.echo("stopped; what came is kept, and the same command goes on from there", err=True)
        sys.exit(INTERRUPTED)
    where = target.resolve()
    shown_path = where.relative_to(ROOT) if where.is_relative_to(ROOT) else where
    click.echo(f"next, in the project's folder: ./quickstart.sh --data {shown_path}")


if __name__ == "__main__":
    main()
