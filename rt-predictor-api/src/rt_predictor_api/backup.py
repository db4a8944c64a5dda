"""One file with all models and the history, written while the service runs.

The archive is a tar whose last member says what belongs to it, with the SHA-256 of each file: one that was cut off
has no such member, and what was begun and then vanished is not named by it.
"""

from __future__ import annotations

import json
import os
import sqlite3
import tarfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, NamedTuple

from rt_predictor_api.security.privacy import KEY
from rt_predictor_api.server import FORECASTS
from rt_predictor_api.settings import Settings
from rt_predictor_api.stores import JOURNAL
from rt_predictor_core.artifact.files import UNFINISHED
from rt_predictor_core.artifact.load import versions
from rt_predictor_core.history.journal import Journal
from rt_predictor_formats.errors import Problem

FORMAT = 1
"""Number of the archive's layout."""

NAME = "backup.json"
"""The archive's last member."""

MODELS, HISTORY = "models", "history"
"""Folders in the archive."""


class Kept(NamedTuple):
    """What an archive holds: versions of models, events of the journal; None where Redis keeps it."""

    models: tuple[str, ...]
    events: int | None


def write(target: Path, settings: Settings) -> Kept:
    """Write an archive; an older one of that name is replaced once the new one is whole and on disk.

    Raises
    ------
    Problem
        ``NOTHING_TO_BACK_UP`` where there is neither a model nor a history, ``BACKUP_NOT_WRITABLE``,
        ``HISTORY_CORRUPT`` where the journal is damaged.
    """
    with _explained(target), _published(target) as file, tarfile.open(fileobj=file, mode="w") as archive:
        hashes: dict[str, str] = {}
        kept = Kept(tuple(_add_models(archive, settings.models, hashes)), _add_history(archive, settings, hashes))
        if not kept.models and not kept.events:
            raise Problem(
                "NOTHING_TO_BACK_UP",
                "there is neither a model nor a history",
                place=f"{settings.models}, {settings.history}",
                remedy="give the folders that the service uses (--models, --history)",
            )
        told = {"format": FORMAT, "created": int(time.time()), **kept._asdict(), "sha256": hashes}
        text = json.dumps(told, indent=2).encode()
        archive.addfile(_entry(NAME, len(text)), BytesIO(text))
    return kept


def _add_models(archive: tarfile.TarFile, folder: Path, hashes: dict[str, str]) -> Iterator[str]:
    """Add each model; one that training takes away meanwhile is left out."""
    for version in versions(folder):
        found: dict[str, str] = {}
        try:
            for path in sorted(path for path in (folder / version).rglob("*") if path.is_file()):
                name = f"{MODELS}/{path.relative_to(folder).as_posix()}"
                found[name] = _add(archive, path, name)
        except FileNotFoundError:
            continue
        hashes |= found
        yield version


def _add_history(archive: tarfile.TarFile, settings: Settings, hashes: dict[str, str]) -> int | None:
    """Add a copy of the journal as it is at one moment, of the forecasts that wait, and the key; return the events."""
    events: int | None = None if settings.redis_url.get_secret_value() else 0
    with TemporaryDirectory() as temporary:
        copy = Path(temporary) / JOURNAL
        if events is not None and _copied(settings.history / JOURNAL, copy):
            events = _readable(copy)
            hashes[f"{HISTORY}/{JOURNAL}"] = _add(archive, copy, f"{HISTORY}/{JOURNAL}")
        said = Path(temporary) / FORECASTS
        if _copied(settings.history / FORECASTS, said):
            hashes[f"{HISTORY}/{FORECASTS}"] = _add(archive, said, f"{HISTORY}/{FORECASTS}")
    if (key := settings.history / KEY).is_file():
        hashes[f"{HISTORY}/{KEY}"] = _add(archive, key, f"{HISTORY}/{KEY}")
    return events


def _copied(source: Path, copy: Path) -> bool:
    """Copy a database that others write to, as it is at one moment; return whether there is one."""
    if not source.is_file():
        return False
    with (
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=rw", uri=True)) as live,
        closing(sqlite3.connect(copy)) as copied,
    ):
        # all pages in one step: a reader of the write-ahead log sees one moment, and no writer waits for it
        live.backup(copied)
        copied.execute("PRAGMA journal_mode=DELETE")
    return True


def _readable(copy: Path) -> int:
    """Return the number of events, each of which agrees with its checksum."""
    with closing(Journal(copy)) as journal:
        return sum(1 for _ in journal.replay())


def _add(archive: tarfile.TarFile, path: Path, name: str) -> str:
    """Add a file and return its SHA-256."""
    with path.open("rb") as file:
        hashed = _Hashed(file)
        found = os.fstat(file.fileno())
        archive.addfile(_entry(name, found.st_size, found.st_mode), hashed)  # type: ignore[arg-type]  # it only reads
        return hashed.digest.hexdigest()


class _Hashed:
    """A file that is hashed as it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.digest = file, sha256()

    def read(self, size: int) -> bytes:
        part = self._file.read(size)
        self.digest.update(part)
        return part


def _entry(name: str, size: int, mode: int = 0o644) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = size, int(time.time()), mode & 0o666
    return entry


@contextmanager
def _published(target: Path) -> Iterator[BinaryIO]:
    """Open a file that appears under its name when the block ends well."""
    unfinished = target.with_name(f"{UNFINISHED}{target.name}")
    try:
        # of the history: for nobody else
        with open(unfinished, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
    folder = os.open(target.absolute().parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def _explained(target: Path) -> Iterator[Any]:
    """Turn what SQLite and the file system say into a Problem."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        remedy = "stop the service, see docs/how-to/back-up-and-restore.md"
        raise Problem("HISTORY_CORRUPT", str(error), place=HISTORY, remedy=remedy) from error
    except OSError as error:
        remedy = (
            "give a file in a folder that you may write to, with free space; read the service's folders as its user"
        )
        place = str(error.filename or target)
        raise Problem("BACKUP_NOT_WRITABLE", error.strerror or str(error), place=place, remedy=remedy) from error
