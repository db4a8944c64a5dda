"""Publishing: an artifact appears whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import time
from calendar import timegm
from collections.abc import Collection, Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np

from rt_predictor_core.artifact.files import UNFINISHED, sha256_of
from rt_predictor_core.artifact.load import versions
from rt_predictor_core.artifact.manifest import NAME, Manifest
from rt_predictor_formats.errors import Problem

_TIME: Final = "%Y%m%dT%H%M%SZ"


def new_version(now: float, identity: bytes) -> str:
    """Return a version name that sorts by time: ``20261124T071500Z-1a2b3c4d``.

    ``now`` in seconds since 1970; ``identity`` tells apart what is published within one second.
    """
    return f"{time.strftime(_TIME, time.gmtime(now))}-{identity.hex()[:8]}"


def next_version(models: Path, now: float, identity: bytes) -> str:
    """Return a new version name that sorts after every one in the folder, also where the clock went back.

    Raises Problem VERSION_FOREIGN if a folder with a name of another form sorts after all that can be made.
    """
    latest = next(iter(versions(models)), "")
    name = new_version(now, identity)
    if name > latest:
        return name
    try:
        return new_version(timegm(time.strptime(latest.partition("-")[0], _TIME)) + 1, identity)
    except ValueError:
        raise Problem(
            "VERSION_FOREIGN",
            f"the folder {latest} sorts after every new version, so none could become current",
            place=str(models),
            remedy="move that folder elsewhere",
        ) from None


def arrays_to_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return the arrays as a compressed npz file."""
    buffer = BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def publish(
    models: Path, manifest: Manifest, files: Mapping[str, bytes], *, keep: int = 5, spare: Collection[str] = ()
) -> Path:
    """Write an artifact into the models folder and return its path.

    Everything is written and synchronised under another name first, then renamed: a crash between any two lines
    leaves the folder as it was, but for an unfinished copy that the next publication removes. The manifest that is
    written is ``manifest`` with the hashes of ``files``. Afterwards the newest ``keep`` versions remain, and those that
    ``spare`` names.

    Raises Problem MODELS_NOT_WRITABLE if the folder cannot be written, DISK_FULL if there is no room.
    """
    unfinished = models / f"{UNFINISHED}{manifest.version}"
    try:
        models.mkdir(parents=True, exist_ok=True)
        _remove_unfinished(models)
        for name, content in files.items():
            _write(unfinished / name, content)
        hashes = {name: sha256_of(unfinished / name) for name in sorted(files)}
        _write(unfinished / NAME, replace(manifest, sha256=hashes).to_json().encode())
        for folder in (*(path for path in unfinished.rglob("*") if path.is_dir()), unfinished):
            _synchronise(folder)
        final = models / manifest.version
        unfinished.rename(final)
        _synchronise(models)
    except OSError as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise Problem(
                "DISK_FULL", "no room for the artifact", place=str(models), remedy="free some space and try again"
            ) from error
        raise Problem(
            "MODELS_NOT_WRITABLE",
            error.strerror or str(error),
            place=str(models),
            remedy="give --models a folder that you may write",
        ) from error
    for old in versions(models)[keep:]:
        if old not in spare:
            shutil.rmtree(models / old, ignore_errors=True)
    return final


def _remove_unfinished(models: Path) -> None:
    for path in models.glob(f"{UNFINISHED}*"):
        shutil.rmtree(path, ignore_errors=True)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _synchronise(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
