"""Names inside an artifact folder, the hash of a file, and opening one without following where it may lead."""

from __future__ import annotations

import os
import stat
from hashlib import file_digest
from io import BufferedReader
from pathlib import Path, PurePosixPath
from typing import Final

HISTORY: Final = "history.npz"
"""The history snapshot."""

CHANCE: Final = "chance.npz"
"""The trees that give the probability to run into the requested wallclock."""

PROBES: Final = "probes.npz"
"""Rows, and what the members' own libraries said of them; see ``artifact.probes``."""

KNOWN: Final = "known"
"""Name of the array in the snapshot that ``history.store`` adds to those of ``history.state``."""

EVALUATION: Final = "evaluation.json"
"""How the model did on its newest fold, part by part, see ``artifact.evaluation``; optional."""

REFERENCE: Final = "reference.npz"
"""What the jobs were like that the model was trained on, see ``models.reference``; optional."""

TRAINING: Final = "training.npz"
"""The newest jobs, which the next training goes on from without their log. The service does not read it."""

EXAMPLE: Final = "example.json"
"""A job of a frequent recent user, for a first prediction."""

UNFINISHED: Final = ".unfinished-"
"""Prefix of a folder that is being written; such folders are never read."""


LARGEST_FILE: Final = 8 << 30
"""No file of an artifact is larger [bytes]: reading one takes a bounded time."""


def member_arrays(name: str) -> str:
    """Return the path of a member's flat arrays."""
    return f"members/{name}.npz"


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def open_inside(folder: Path, name: str, largest: int = LARGEST_FILE) -> BufferedReader:
    """Open a file of an artifact for reading, by a name that nobody vouches for.

    Raises ValueError, before anything is opened, where the name leads out of the folder or through a link, or what it
    names is no plain file or larger than ``largest`` [bytes]; OSError where it cannot be opened.
    """
    parts = PurePosixPath(name).parts
    if not parts or PurePosixPath(name).is_absolute() or ".." in parts or "/".join(parts) != name:
        raise ValueError(f"the manifest names a file outside, or in a roundabout way: {name!r}")
    path = folder
    for part in parts:
        path /= part
        if stat.S_ISLNK(path.lstat().st_mode):
            raise ValueError(f"{name} is a link")
    _require_plain(path.lstat(), name, largest)
    # whoever exchanges it meanwhile gets neither a link followed nor a reader that waits
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    file = os.fdopen(descriptor, "rb")
    try:
        _require_plain(os.fstat(descriptor), name, largest)
    except ValueError:
        file.close()
        raise
    return file


def _require_plain(found: os.stat_result, name: str, largest: int) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise ValueError(f"{name} is no plain file")
    if found.st_size > largest:
        raise ValueError(f"{name} has {found.st_size} bytes, more than {largest}")
