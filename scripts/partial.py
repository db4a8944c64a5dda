"""The unfinished bytes of one download, and which file of which server they belong to."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from rt_predictor_formats.errors import Problem

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, as 64 hexadecimal digits. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def explained(target: Path) -> Iterator[None]:
    """Turn what the disk refuses into a Problem: DISK_FULL or NOT_WRITABLE."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in _FULL:
            raise Problem(
                "DISK_FULL", reason, place=str(target.parent), remedy="make room and run it again; what came is kept"
            ) from error
        raise Problem(
            "NOT_WRITABLE", reason, place=str(error.filename or target), remedy="name a folder that you may write"
        ) from error


class Partial:
    """``NAME.part``, locked while it is used, and beside it ``NAME.part.json`` with address and validator.

    Attributes
    ----------
    path: the unfinished file.
    size: how much of it there is [bytes].

    Every method raises OSError where the disk does not obey.
    """

    def __init__(self, target: Path) -> None:
        self._target = target
        self.path = target.with_name(f"{target.name}.part")
        self._origin = target.with_name(f"{target.name}.part.json")
        self.size = 0

    def __enter__(self) -> Self:
        """Open and lock the file. Raises Problem DOWNLOAD_RUNS where another process has it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("ab")
        try:
            self._lock()
        except BaseException:
            self._file.close()
            raise
        self.size = self._file.tell()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # a full disk has been told of where it was written to
            self._file.flush()
        # not by what was counted: an interrupt may come between a write and its count
        if not os.fstat(self._file.fileno()).st_size:
            self.path.unlink(missing_ok=True)
            self._origin.unlink(missing_ok=True)
        with suppress(OSError):
            self._file.close()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # who held it before may have given it its final name since it was opened here
            ours = os.path.samestat(os.fstat(self._file.fileno()), self.path.stat())
        except (BlockingIOError, FileNotFoundError):
            ours = False
        if not ours:
            raise Problem(
                "DOWNLOAD_RUNS",
                "another process is loading this file",
                place=str(self.path),
                remedy="wait until it has ended",
            )

    def validator(self, url: str) -> str:
        """Return what the server said of the version these bytes are of; empty where they are of no use for ``url``."""
        try:
            origin = json.loads(self._origin.read_text(encoding="utf-8"))
            return str(origin["validator"]) if origin["url"] == url else ""
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return ""

    def restart(self, url: str, validator: str) -> None:
        """Forget all bytes; those that follow are of this version of ``url``."""
        # in this order: bytes must never stand beside the validator of another version
        self._file.truncate(0)
        self._origin.write_text(json.dumps({"url": url, "validator": validator}) + "\n", encoding="utf-8")
        self.size = 0

    def write(self, chunk: bytes) -> None:
        """Append bytes."""
        self._file.write(chunk)
        self.size += len(chunk)

    def sha256(self) -> str:
        """Return the checksum of what there is."""
        self._file.flush()
        return sha256_of(self.path)

    def finish(self) -> None:
        """Give the bytes their final name once they are on disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self.path.replace(self._target)
        self._origin.unlink(missing_ok=True)
        folder = os.open(self._target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
