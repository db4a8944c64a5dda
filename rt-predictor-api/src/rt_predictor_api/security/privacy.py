"""Whose names the site tells: all of them, keyed hashes in their place, or none.

A hash is an HMAC with a key of the site (RFC 2104): the same name has the same hash in all answers, nobody without the
key can tell which name it is by hashing those that there are, and hashes of other kinds of names do not agree.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Literal

from rt_predictor_api.settings import Settings, variable
from rt_predictor_api.validation import InvalidRequest, Violation
from rt_predictor_formats.errors import Problem

Mode = Literal["show", "hash", "hide"]

KEY = "privacy.key"
"""Name of the file with the site's key in the folder of the history, where no setting names one."""

HASH_DIGITS = 20
"""Hexadecimal digits of a hash: 80 bits, so that no two names of a site share one."""

_KEY_BYTES = 32
_HASH = re.compile(rf"[0-9a-f]{{{HASH_DIGITS}}}")


class Privacy:
    """Tells names as the site has decided.

    Parameters
    ----------
    mode: ``show``, ``hash`` or ``hide``. key: of the hashes.
    """

    def __init__(self, mode: Mode, key: bytes) -> None:
        self.mode = mode
        self._key = key

    @classmethod
    def of(cls, settings: Settings) -> Privacy:
        """Return what the settings say; the key is made once where none is given.

        Raises
        ------
        Problem
            ``HISTORY_NOT_WRITABLE`` where a key can be neither read nor kept.
        """
        given = settings.privacy_key.get_secret_value()
        if settings.privacy == "show":
            return cls(settings.privacy, b"")
        return cls(settings.privacy, given.encode() if given else _kept_key(settings.history / KEY))

    def told(self, kind: str, name: str) -> str:
        """Return how a name of a kind, such as ``user``, is told; an empty one is unknown and stays so."""
        if not name or self.mode == "show":
            return name
        return self.hashed(kind, name) if self.mode == "hash" else ""

    def hashed(self, kind: str, name: str) -> str:
        """Return the hash of a name of a kind."""
        text = f"{kind}\0{name}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._key or b"shown", text, "sha256").hex()[:HASH_DIGITS]

    def check_asked(self, kind: str, name: str) -> None:
        """Do nothing where a caller may ask for a name of a kind as it is given.

        Raises
        ------
        Problem
            ``NAMES_HIDDEN`` where none may be asked for.
        InvalidRequest
            Where names are told as hashes, and this is none.
        """
        if not name or self.mode == "show":
            return
        if self.mode == "hide":
            raise Problem(
                "NAMES_HIDDEN",
                f"this site tells nobody's jobs by {kind}",
                place=kind,
                remedy="ask without it for jobs without names, or ask the site's administrator",
            )
        if not _HASH.fullmatch(name):
            text = f"must be a hash of {HASH_DIGITS} hexadecimal digits, as in the answers: this site tells no names"
            raise InvalidRequest([Violation(kind, text)])


def _kept_key(path: Path) -> bytes:
    """Return the key in a file, made where there is none: whole, by whichever process is the first."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _make_key(path)
        key = path.read_bytes()
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from error
    if len(key) < _KEY_BYTES:
        raise _unusable(path, f"{len(key)} bytes are no key")
    return key


def _make_key(path: Path) -> None:
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # another process was faster: its key it is
            path.hardlink_to(aside)
    finally:
        aside.unlink()


def _unusable(path: Path, thing: str) -> Problem:
    return Problem(
        "HISTORY_NOT_WRITABLE",
        f"the key of the hashes cannot be kept ({thing})",
        place=str(path),
        remedy=f"let the service write there, or set {variable('privacy_key')}",
    )
