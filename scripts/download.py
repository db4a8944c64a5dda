"""One file over HTTP: what broke off goes on where it was, and a name stands for a whole file only."""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Protocol

import requests
from urllib3 import BaseHTTPResponse, Retry
from urllib3.exceptions import HTTPError, IncompleteRead, MaxRetryError

from partial import Partial, explained
from rt_predictor_formats.errors import Problem

PATIENCE = Retry(total=8, backoff_factor=1, backoff_max=60, retry_after_max=120)
"""How often in a row it is tried again without one byte more, and how long is waited before [s]: 0, 2, 4, ... 60."""

FIRST_TRIES = 2
"""So often only where nothing has come yet: whoever has no network wants to know at once."""

TIMEOUT = 30.0
"""Longest silence of the server [s]."""

CHUNK = 1 << 20
"""Most bytes taken at a time."""

_PASSING = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
_GONE = {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")


class Watcher(Protocol):
    """Who is told how it goes."""

    def progress(self, done: int, total: int | None) -> None:
        """So many bytes of so many are there; None where the server does not say."""

    def note(self, text: str) -> None:
        """Something happened that a person should know; it goes on."""


@dataclass(frozen=True)
class Fetched:
    """A file that has arrived: its size and what of it came in this run [bytes], and its SHA-256."""

    size: int
    received: int
    sha256: str


class _BrokenOff(Exception):
    """What may go better in a moment; ``response`` may say when."""

    def __init__(self, why: str, response: BaseHTTPResponse | None = None) -> None:
        super().__init__(why)
        self.response = response


def download(
    url: str,
    target: Path,
    watcher: Watcher,
    *,
    sha256: str = "",
    patience: Retry = PATIENCE,
    timeout: float = TIMEOUT,
) -> Fetched:
    """Fetch ``url`` to ``target``, which appears only when it is whole and, where ``sha256`` is given, right.

    After an interruption, of the connection or of this program, the next request or run asks for the missing bytes
    alone. It starts anew where the server's file is another one by then, and where the server cannot send a part.

    Raises
    ------
    Problem
        CHECKSUM_WRONG (what came is removed); DOWNLOAD_BROKEN, DISK_FULL (what came is kept); ADDRESS_GONE,
        ADDRESS_REFUSED, ADDRESS_INVALID, CERTIFICATE_REFUSED, NOT_A_FILE, NOT_WRITABLE, DOWNLOAD_RUNS.
    """
    with explained(target), Partial(target) as partial, requests.Session() as session:
        fetch = _Fetch(url, partial, watcher, session, timeout)
        fetch.all(patience)
        found = partial.sha256()
        if sha256 and found != sha256.lower():
            partial.restart(url, "")
            raise Problem(
                "CHECKSUM_WRONG",
                f"sha256 is {found} instead of {sha256.lower()}; what came was removed",
                place=url,
                remedy="run it again; if the publisher has changed the file, accept it by naming its new sha256",
            )
        partial.finish()
        return Fetched(partial.size, fetch.received, found)


class _Fetch:
    """Requests until all bytes are there."""

    def __init__(self, url: str, partial: Partial, watcher: Watcher, session: requests.Session, timeout: float) -> None:
        self._url, self._partial, self._watcher = url, partial, watcher
        self._session, self._timeout = session, timeout
        self.received = 0

    def all(self, patience: Retry) -> None:
        furthest, left = self._partial.size, patience.new(total=FIRST_TRIES)
        while True:
            try:
                self._receive()
            except _BrokenOff as broken:
                # only what has never been reached is progress: a server that always starts anew must not go on for ever
                if self._partial.size > furthest:
                    furthest, left = self._partial.size, patience
                left = self._again(left, broken)
            else:
                return

    def _again(self, left: Retry, broken: _BrokenOff) -> Retry:
        """Wait as long as is due. Raises Problem DOWNLOAD_BROKEN where it was tried often enough."""
        kept = f"{self._partial.size:,} bytes are kept"
        try:
            left = left.increment("GET", self._url, error=broken)
        except MaxRetryError:
            raise Problem(
                "DOWNLOAD_BROKEN",
                f"{broken}; {kept}",
                place=self._url,
                remedy="check the network (behind a proxy: HTTPS_PROXY) and run it again",
            ) from broken
        self._watcher.note(f"{broken}; {kept}, trying again")
        left.sleep(broken.response)
        return left

    def _receive(self) -> None:
        """One request: everything that comes is appended."""
        with (
            _told(self._url),
            self._session.get(self._url, headers=self._headers(), stream=True, timeout=self._timeout) as response,
        ):
            total = self._begin(response)
            self._watcher.progress(self._partial.size, total)
            # read1, because read would drop what came last when the connection breaks
            while self._partial.size != total and (chunk := response.raw.read1(CHUNK, decode_content=False)):
                self._partial.write(chunk)
                self.received += len(chunk)
                self._watcher.progress(self._partial.size, total)
        if total is not None and self._partial.size != total:
            raise _BrokenOff(f"the server sent {self._partial.size:,} of {total:,} bytes")

    def _headers(self) -> dict[str, str]:
        """Ask for what is missing, if it is still of the same version."""
        headers = {"Accept-Encoding": "identity"}
        validator = self._partial.validator(self._url)
        if self._partial.size and validator:
            headers |= {"Range": f"bytes={self._partial.size}-", "If-Range": validator}
        return headers

    def _begin(self, response: requests.Response) -> int | None:
        """Make the file ready for what follows, and return its size when whole [bytes], None if that is not said."""
        if response.status_code in {HTTPStatus.PARTIAL_CONTENT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE}:
            total = self._continued(response)
        elif response.status_code == HTTPStatus.OK:
            total = self._anew(response)
        else:
            raise _refused(self._url, response)
        self._need_room(total)
        return total

    def _continued(self, response: requests.Response) -> int | None:
        """Go on where we were (206), or end because nothing is left (416); else begin anew."""
        stated = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        begin, total = stated.groups() if stated else (None, None)
        version = _validator(response)
        same = not version or version == self._partial.validator(self._url)
        if response.status_code == HTTPStatus.PARTIAL_CONTENT:
            fits = begin == str(self._partial.size)
        else:
            fits = total == str(self._partial.size)
        if not (same and fits):
            self._partial.restart(self._url, "")
            raise _BrokenOff("the server has another file by now, or sent another part of it")
        return int(total) if total and total != "*" else None

    def _anew(self, response: requests.Response) -> int | None:
        if response.headers.get("Content-Type", "").startswith("text/html"):
            raise Problem(
                "NOT_A_FILE",
                "the server sent a web page instead of a file",
                place=self._url,
                remedy="open the address in a browser: the file has moved, or a proxy wants you to log in",
            )
        if self._partial.size:
            self._watcher.note("the server has another version of the file, or cannot send a part: starting anew")
        self._partial.restart(self._url, _validator(response))
        length = response.headers.get("Content-Length", "")
        return int(length) if length.isdigit() else None

    def _need_room(self, total: int | None) -> None:
        missing = (total or 0) - self._partial.size
        free = shutil.disk_usage(self._partial.path.parent).free
        if missing > free:
            raise OSError(errno.ENOSPC, f"{missing:,} bytes more are needed and {free:,} are free")


def _validator(response: requests.Response) -> str:
    """Return what tells this version from another in If-Range: a strong ETag, else the date; empty for none."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified", "")


def _refused(url: str, response: requests.Response) -> Exception:
    said = f"the server answered {response.status_code} {response.reason}"
    if response.status_code in _PASSING or response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _BrokenOff(said, response.raw)
    if response.status_code in _GONE:
        return Problem("ADDRESS_GONE", said, place=url, remedy="look where the file is today and name that address")
    return Problem("ADDRESS_REFUSED", said, place=url, remedy="open it in a browser: it may want a log-in")


@contextmanager
def _told(url: str) -> Iterator[None]:
    """Tell what passes, as _BrokenOff, from what only a person can mend."""
    try:
        yield
    except requests.exceptions.SSLError as error:
        raise Problem(
            "CERTIFICATE_REFUSED",
            _innermost(error),
            place=url,
            remedy="behind a proxy with its own certificates name them: REQUESTS_CA_BUNDLE=FILE",
        ) from error
    except IncompleteRead as error:
        raise _BrokenOff("the connection broke off") from error
    except (requests.ConnectionError, requests.Timeout, HTTPError) as error:
        raise _BrokenOff(_innermost(error)) from error
    except requests.RequestException as error:
        raise Problem("ADDRESS_INVALID", str(error), place=url, remedy="give an http(s) address") from error


def _innermost(error: BaseException) -> str:
    """Return the first cause in few words; the libraries wrap it several times."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return str(error) or type(error).__name__
