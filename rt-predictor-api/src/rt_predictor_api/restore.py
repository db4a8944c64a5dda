"""Bringing back what ``backup`` wrote: into empty folders, all of it or nothing."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

from rt_predictor_api.backup import FORMAT, HISTORY, MODELS, NAME, Kept
from rt_predictor_api.settings import Settings
from rt_predictor_api.stores import JOURNAL
from rt_predictor_core.artifact.files import UNFINISHED
from rt_predictor_core.history.journal import Journal
from rt_predictor_formats.errors import Problem, shown

STAGED = f"{UNFINISHED}restored"
"""Folder beside the final names, which the service does not read."""

LARGEST_LIST = 64 << 20
"""No list of what an archive holds is larger [bytes]."""

PIECE = 1 << 20
_DISKS_OWN = frozenset({"lost+found"})


def read(source: Path, settings: Settings) -> Kept:
    """Bring an archive's models and history to the folders of the settings, which must be empty or missing.

    Nothing that exists is written over, even where a service starts meanwhile.

    Raises
    ------
    Problem
        ``RESTORE_NOT_EMPTY``, ``BACKUP_CORRUPT``, ``BACKUP_FORMAT``, ``HISTORY_CORRUPT``, ``RESTORE_FAILED``.
    """
    folders = {MODELS: settings.models, HISTORY: settings.history}
    for folder in folders.values():
        _require_empty(folder)
    with _explained(source), _staged(folders) as staged:
        told = _unpack(source, staged)
        if f"{HISTORY}/{JOURNAL}" in told["sha256"]:
            # a journal that this release cannot read is found out now
            Journal(staged[HISTORY] / JOURNAL).close()
        # a service that waits for a model begins with the history
        for name in (HISTORY, MODELS):
            _place(staged[name], folders[name], _below(name, told["sha256"]))
    return Kept(tuple(told["models"]), told["events"])


def _require_empty(folder: Path) -> None:
    if folder.exists() and {path.name for path in folder.iterdir()} - _DISKS_OWN:
        raise Problem(
            "RESTORE_NOT_EMPTY",
            "the folder is in use, and nothing is written over",
            place=str(folder),
            remedy="stop the service and move the folder away, or give another one (--models, --history)",
        )


@contextmanager
def _staged(folders: dict[str, Path]) -> Iterator[dict[str, Path]]:
    staged = {name: folder / STAGED for name, folder in folders.items()}
    try:
        for folder in staged.values():
            folder.mkdir(parents=True)
        yield staged
    finally:
        for folder in staged.values():
            shutil.rmtree(folder, ignore_errors=True)


def _unpack(source: Path, staged: dict[str, Path]) -> dict[str, Any]:
    """Unpack into the staged folders and return what the archive says of itself, once every file agrees with it."""
    found: dict[str, str] = {}
    told: dict[str, Any] | None = None
    with tarfile.open(source, mode="r:") as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isreg() else None
            if content is None:
                raise _corrupt(source, f"{shown(member.name)} is no file")
            with closing(content):
                if member.name == NAME:
                    told = _told(source, content.read(LARGEST_LIST))
                else:
                    found[member.name] = _write(content, _path(source, member.name, staged), member.mode)
    if told is None:
        raise _corrupt(source, "its end is missing")
    for name, digest in told["sha256"].items():
        if found.get(name) != digest:
            raise _corrupt(source, f"{shown(name)} is not what was backed up (SHA-256 differs)")
    for name in found.keys() - told["sha256"].keys():
        _path(source, name, staged).unlink()
    return told


def _told(source: Path, text: bytes) -> dict[str, Any]:
    try:
        told = json.loads(text)
        if told["format"] != FORMAT:
            raise Problem(
                "BACKUP_FORMAT",
                f"the backup has format {told['format']}, this release reads {FORMAT}",
                place=str(source),
                remedy="restore it with the release that wrote it, then upgrade (docs/how-to/upgrade.md)",
            )
        return {"models": [*told["models"]], "events": told["events"], "sha256": {**told["sha256"]}}
    except (ValueError, KeyError, TypeError) as error:
        raise _corrupt(source, f"its list cannot be read ({error!r})") from error


def _path(source: Path, name: str, staged: dict[str, Path]) -> Path:
    """Return where a member belongs, by a name that nobody vouches for."""
    folder, *parts = name.split("/")
    if folder not in staged or not parts or any(part in {"", ".", ".."} or "\0" in part for part in parts):
        raise _corrupt(source, f"{shown(name)} leads elsewhere")
    return staged[folder].joinpath(*parts)


def _write(content: IO[bytes], path: Path, mode: int) -> str:
    """Write a file for those who could read it, and return its SHA-256 once it is on disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = sha256()
    # a key must at no moment be for others to read
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 | (mode & 0o666)), "wb") as file:
        while part := content.read(PIECE):
            digest.update(part)
            file.write(part)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _below(folder: str, names: Iterable[str]) -> list[str]:
    """Return what lies in a folder of the archive, once each."""
    return sorted({name.split("/")[1] for name in names if name.startswith(f"{folder}/")})


def _place(staged: Path, folder: Path, names: Iterable[str]) -> None:
    """Give what is staged its final names; raises OSError where one is taken by now."""
    for inner in (path for path in staged.rglob("*") if path.is_dir()):
        _synchronise(inner)
    for name in names:
        if (staged / name).is_dir():
            # fails where there is such a folder and something in it
            (staged / name).rename(folder / name)
        else:
            # a rename would replace a file
            (folder / name).hardlink_to(staged / name)
    _synchronise(folder)


def _synchronise(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _corrupt(source: Path, thing: str) -> Problem:
    return Problem("BACKUP_CORRUPT", thing, place=str(source), remedy="take an older backup, or copy this one again")


@contextmanager
def _explained(source: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError) as error:
        raise _corrupt(source, f"it is no whole backup ({error})") from error
    except OSError as error:
        remedy = "give a backup that you may read, and folders that you may write to, with free space, on a local disk"
        place = str(error.filename or source)
        raise Problem("RESTORE_FAILED", error.strerror or str(error), place=place, remedy=remedy) from error
