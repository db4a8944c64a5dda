"""The folder in which the service, nginx and the workers meet; of their user alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Folder:
    """What lies where.

    Attributes
    ----------
    path: the folder itself.
    workers: the socket that each worker listens on.
    """

    path: Path
    workers: tuple[Path, ...]

    @property
    def configuration(self) -> Path:
        """What nginx is told."""
        return self.path / "nginx.conf"

    @property
    def said(self) -> Path:
        """What nginx says in words."""
        return self.path / "said.txt"

    @property
    def refused(self) -> Path:
        """Socket on which nginx tells of refused calls."""
        return self.path / "refused"

    @property
    def crowded(self) -> Path:
        """File that is there while few calls are let in."""
        return self.path / "crowded"
