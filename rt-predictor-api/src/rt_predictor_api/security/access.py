"""The access file: who may call, known by a token's hash or by a certificate's name, and what each may do.

    # name           scopes          SHA-256 of the token
    portal           predict         sha256:0f3c...
    slurm            predict,report  sha256:77b1...
    cert:login1.hpc  predict

Two lines may have one name, so that a new token can be given out before the old one is withdrawn.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from rt_predictor_api.metrics import Metrics
from rt_predictor_api.security import scopes
from rt_predictor_api.security.kept import Contents, Kept
from rt_predictor_formats.errors import Problem, shown

WHAT = "access file"

PREFIX = "rtp_"
"""What every token begins with, so that people and scanners of leaked secrets know one."""

CERTIFICATE = "cert:"
"""What the name of a line for a certificate begins with."""

ANY = f"{CERTIFICATE}*"
"""The name of a line for each certificate that has none of its own."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
"""Names of tokens."""

_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_COMMENT = re.compile(r"(^|\s)#.*")
_FORM = "NAME SCOPE[,SCOPE] sha256:HASH, or cert:NAME SCOPE[,SCOPE]"


@dataclass(frozen=True)
class Caller:
    """Who calls, as log and limits name it, and what that one may do."""

    identity: str
    scopes: frozenset[str]


@dataclass(frozen=True)
class Access:
    """The callers of a file.

    Attributes
    ----------
    tokens: callers by the hash of their token.
    certificates: callers by the name of their line.
    """

    tokens: dict[str, Caller]
    certificates: dict[str, Caller]

    def identities(self) -> set[str]:
        """Return everyone's name."""
        return {caller.identity for caller in (*self.tokens.values(), *self.certificates.values())}


def hashed(token: str) -> str:
    """Return what a file holds of a token.

    One round of a fast hash: a token has 256 random bits, and nobody can try these, however fast.
    """
    return f"sha256:{sha256(token.encode()).hexdigest()}"


def issue(name: str, allowed: Iterable[str]) -> tuple[str, str]:
    """Return a new token and its line for the file.

    Raises
    ------
    Problem
        ``ACCESS_INVALID`` for a name that a line cannot have.
    """
    token = f"{PREFIX}{secrets.token_urlsafe(32)}"
    line = f"{name} {','.join(allowed)} {hashed(token)}"
    parse(line)
    return token, line


def kept(path: Path, counted: Metrics) -> Kept[Access]:
    """Return the callers of a file.

    Raises
    ------
    Problem
        ``ACCESS_INVALID`` or ``FILE_UNREADABLE``.
    """
    return Kept(WHAT, [path], partial(_read, str(path)), _facts, counted)


def parse(text: str, place: str = "") -> Access:
    """Return the callers of a file's text.

    Raises
    ------
    Problem
        ``ACCESS_INVALID`` with the line that breaks the form, without its hash.
    """
    access = Access({}, {})
    for number, words in _lines(text):
        where = f"{place}, line {number}" if place else f"line {number}"
        key, caller = _entry(words, where)
        known = access.certificates if caller.identity.startswith(CERTIFICATE) else access.tokens
        if key in known:
            raise _invalid(where, "is there twice")
        known[key] = caller
    if not (access.tokens or access.certificates):
        # what a writer leaves that was interrupted; taken, it would lock everyone out
        raise _invalid(place, "names nobody")
    return access


def _read(place: str, contents: Contents) -> Access:
    try:
        return parse(contents[0].decode(), place)
    except UnicodeDecodeError as error:
        raise _invalid(place, "is no text in UTF-8") from error


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(text.splitlines(), 1):
        if words := _COMMENT.sub("", line).split():
            yield number, words


def _entry(words: list[str], where: str) -> tuple[str, Caller]:
    name, by_certificate = words[0], words[0].startswith(CERTIFICATE)
    if len(words) != (2 if by_certificate else 3):
        raise _invalid(where, f"has {len(words)} words")
    caller = Caller(name, _scopes(words[1], where))
    if by_certificate:
        return name, caller
    if not NAME.fullmatch(name):
        raise _invalid(where, f"{shown(name)} is no name of letters, digits and . _ @ -, at most 64")
    if not _HASH.fullmatch(words[2]):
        raise _invalid(where, "the last word is no SHA-256; a token itself must not stand here")
    return words[2], caller


def _scopes(word: str, where: str) -> frozenset[str]:
    named = frozenset(word.split(","))
    if unknown := named - set(scopes.ALL):
        raise _invalid(where, f"{shown(min(unknown))} is no scope of {', '.join(scopes.ALL)}")
    return named


def _facts(old: Access, new: Access) -> dict[str, Any]:
    before, after = old.identities(), new.identities()
    return {
        "tokens": len(new.tokens),
        "certificates": len(new.certificates),
        "added": sorted(after - before),
        "removed": sorted(before - after),
    }


def _invalid(where: str, thing: str) -> Problem:
    remedy = f"write lines of {_FORM}; rt-predictor-api token makes one"
    return Problem("ACCESS_INVALID", thing, place=where, remedy=remedy)
