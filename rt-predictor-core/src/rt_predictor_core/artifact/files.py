"""Names inside an artifact folder, and the hash of a file."""

from __future__ import annotations

from hashlib import file_digest
from pathlib import Path
from typing import Final

HISTORY: Final = "history.npz"
"""The history snapshot."""

CHANCE: Final = "chance.npz"
"""The trees that give the probability to run into the requested wallclock."""

PROBES: Final = "probes.npz"
"""Rows, and what the members' own libraries said of them; see ``artifact.probes``."""

KNOWN: Final = "known"
"""Name of the array in the snapshot that ``history.store`` adds to those of ``history.state``."""

TRAINING: Final = "training.npz"
"""The newest jobs, which the next training goes on from without their log. The service does not read it."""

EXAMPLE: Final = "example.json"
"""A job of a frequent recent user, for a first prediction."""

UNFINISHED: Final = ".unfinished-"
"""Prefix of a folder that is being written; such folders are never read."""


def member_arrays(name: str) -> str:
    """Return the path of a member's flat arrays."""
    return f"members/{name}.npz"


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
