"""A file server on this machine that does what real ones do wrong, at a word."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from threading import Event

NAME = "eagle_data.parquet"


@dataclass(frozen=True)
class Seen:
    """One request and what was answered."""

    range: str | None
    if_range: str | None
    status: int
    sent: int


@dataclass
class Files:
    """What the server has, and how it misbehaves. The first of a list is for the next request, and then gone."""

    content: bytes = b""
    etag: str | None = '"one"'
    modified: str | None = None
    kind: str = "application/octet-stream"
    ranges: bool = True
    breaks: list[int] = field(default_factory=list)
    """After so many bytes of its body the answer ends."""
    statuses: list[int] = field(default_factory=list)
    """Answered instead of the file."""
    retry_after: str | None = None
    moved: bool = False
    """The address leads to another one."""
    swap: bytes | None = None
    """The file is this one from the second request on."""
    shift: int = 0
    """A part begins so many bytes too late."""
    hold: int | None = None
    """After so many bytes of its body the answer stops until ``go``."""
    go: Event = field(default_factory=Event)
    silent: bool = False
    """The length is not said."""
    seen: list[Seen] = field(default_factory=list)
    url: str = ""

    @property
    def sent(self) -> int:
        return sum(request.sent for request in self.seen)

    @property
    def statuses_seen(self) -> list[int]:
        return [request.status for request in self.seen]


class Handler(BaseHTTPRequestHandler):
    now: Files
    """What the server has at present."""

    def setup(self) -> None:
        # a client that has heard enough ends its test before its answer is through
        self.files = Handler.now
        super().setup()

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        files = self.files
        if files.moved and self.path == f"/{NAME}":
            self.answer(302, b"", {"Location": "/elsewhere"})
        elif files.statuses:
            self.answer(files.statuses.pop(0), b"no", {"Retry-After": files.retry_after})
        else:
            self.file()
            if files.swap is not None:
                files.content, files.etag, files.swap = files.swap, '"two"', None

    def file(self) -> None:
        files, headers = self.files, {"ETag": self.files.etag, "Last-Modified": self.files.modified}
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        valid = self.headers["If-Range"] in {None, files.etag, files.modified}
        if not (asked and files.ranges and valid):
            self.answer(200, files.content, headers | {"Content-Type": files.kind})
            return
        begin, size = int(asked[1]) + files.shift, len(files.content)
        if begin >= size:
            self.answer(416, b"beyond", headers | {"Content-Range": f"bytes */{size}"})
        else:
            self.answer(206, files.content[begin:], headers | {"Content-Range": f"bytes {begin}-{size - 1}/{size}"})

    def answer(self, status: int, body: bytes, headers: dict[str, str | None]) -> None:
        length = None if self.files.silent else str(len(body))
        self.send_response(status)
        for name, value in ({"Content-Length": length} | headers).items():
            if value is not None:
                self.send_header(name, value)
        if status in {200, 206} and self.files.breaks:
            body = body[: self.files.breaks.pop(0)]
        # before the client can have heard of it
        self.files.seen.append(Seen(self.headers["Range"], self.headers["If-Range"], status, len(body)))
        self.end_headers()
        cut = len(body) if self.files.hold is None else self.files.hold
        self.wfile.write(body[:cut])
        if cut < len(body):
            self.files.go.wait(10)
            self.wfile.write(body[cut:])
