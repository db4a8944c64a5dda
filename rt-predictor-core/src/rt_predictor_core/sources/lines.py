"""Text files, plain, gzip or bzip2, as blocks of whole lines in bounded memory.

A block keeps its bytes in one piece with the positions of the line ends, so that a million lines cost no million
objects, and any single line can still be quoted with its number.
"""

from __future__ import annotations

import bz2
import gzip
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import numpy as np
import numpy.typing as npt

from rt_predictor_core.sources.contract import Notes, Reading
from rt_predictor_formats.errors import Problem

PIECE_BYTES = 1 << 20
"""How much is read at a time [bytes]."""

BLOCK_BYTES = 64 << 20
"""A block is cut here even if it has fewer lines than asked for [bytes]."""

LINE_BYTES = 16 << 20
"""Longest line; longer ones mean that the file is no text [bytes]."""

HEAD_BYTES = 1 << 16
"""How much of a file a source may see in order to recognise it [bytes, decompressed]."""

_GZIP, _BZIP2 = b"\x1f\x8b", b"BZh"
_NEWLINE, _RETURN = 10, 13
_HALF_READ = ("LOG_TRUNCATED", "LOG_DAMAGED")


@dataclass(frozen=True)
class Lines:
    """Consecutive lines of a file.

    Attributes
    ----------
    data: the bytes of all lines, valid UTF-8.
    ends: int64[lines], position behind the last character of each line in ``data``, the line end not counted.
    first: number of the first line in its file, from 1.
    """

    data: bytes
    ends: npt.NDArray[np.int64]
    first: int

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def starts(self) -> npt.NDArray[np.int64]:
        """int64[lines], position of the first character of each line in ``data``."""
        return np.concatenate(([0], self.ends[:-1] + 1)) if len(self.ends) else self.ends

    @property
    def blank(self) -> npt.NDArray[np.bool_]:
        """bool[lines], whether a line is empty (a carriage return does not count)."""
        lengths = self.ends - self.starts
        last = np.frombuffer(self.data, np.uint8)[np.maximum(self.ends - 1, 0)] if self.data else np.zeros(len(self))
        blank: npt.NDArray[np.bool_] = (lengths == 0) | ((lengths == 1) & (last == _RETURN))
        return blank

    def part(self, begin: int, end: int) -> Lines:
        """Return the lines from ``begin`` up to ``end`` (positions in this block)."""
        start = int(self.ends[begin - 1]) + 1 if begin else 0
        return Lines(self.data[start : int(self.ends[end - 1])], self.ends[begin:end] - start, self.first + begin)

    def texts(self, positions: Sequence[int]) -> list[str]:
        """Return the text of the lines at these positions, without their line ends."""
        starts = self.starts
        return [self.data[starts[i] : self.ends[i]].decode().rstrip("\r") for i in positions]


def head_of(path: Path) -> bytes:
    """Return the first ``HEAD_BYTES`` of a file, decompressed; what can be read of them where the file is damaged."""
    head = b""
    try:
        with opened(path) as raw:
            for piece in _pieces(path, raw):
                head += piece
                if len(head) >= HEAD_BYTES:
                    break
    except Problem as problem:
        if not head or problem.code not in _HALF_READ:
            raise
    return head[:HEAD_BYTES]


def line_blocks(reading: Reading) -> Iterator[Lines]:
    """Yield all lines of a file, at most ``chunk_rows`` at a time.

    Raises
    ------
    Problem
        LOG_TRUNCATED where a compressed file breaks off, LOG_DAMAGED where it cannot be decompressed,
        LINE_TOO_LONG where the file has no line ends, LOG_UNREADABLE where the system refuses it.
    """
    first = 1
    with opened(reading.path) as raw:
        for data in _whole_lines(raw, reading):
            block = Lines(data, _line_ends(data), first)
            for begin in range(0, len(block), reading.chunk_rows):
                yield block.part(begin, min(begin + reading.chunk_rows, len(block)))
            first += len(block)


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading; what the system says against it becomes a Problem that names the file."""
    try:
        raw = path.open("rb")
    except FileNotFoundError:
        raise Problem("LOG_MISSING", "there is no such file", place=str(path), remedy="check the path") from None
    except OSError as error:
        raise _unreadable(path, error) from None
    with raw:
        yield raw


def _whole_lines(raw: IO[bytes], reading: Reading) -> Iterator[bytes]:
    """Yield pieces of the file that end with a line end, about ``chunk_rows`` lines or more each."""
    held: list[bytes] = []
    size = lines = 0
    for piece in _pieces(reading.path, raw):
        held.append(piece)
        size += len(piece)
        lines += piece.count(b"\n")
        if lines >= reading.chunk_rows or size >= BLOCK_BYTES:
            data = b"".join(held)
            cut = data.rfind(b"\n") + 1
            yield _utf8(data[:cut], reading.notes)
            held, size, lines = [data[cut:]], len(data) - cut, 0
        if not lines and size > LINE_BYTES:
            raise Problem(
                "LINE_TOO_LONG",
                f"a line of more than {LINE_BYTES >> 20} MiB",
                place=str(reading.path),
                remedy="give a text file with one job per line",
            )
        reading.progress(raw.tell())
    if size:
        yield _utf8(b"".join(held), reading.notes)


def _pieces(path: Path, raw: IO[bytes]) -> Iterator[bytes]:
    """Yield the decompressed bytes; the format shows in the first bytes, for names can be wrong."""
    magic = raw.read(3)
    raw.seek(0)
    stream: IO[bytes] = raw
    if magic.startswith(_GZIP):
        stream = cast("IO[bytes]", gzip.GzipFile(fileobj=raw))
    elif magic.startswith(_BZIP2):
        stream = bz2.BZ2File(raw)
    while piece := _read(path, stream):
        yield piece


def _read(path: Path, stream: IO[bytes]) -> bytes:
    try:
        return stream.read(PIECE_BYTES)
    except EOFError:
        remedy = "copy the file again and compare its size"
        raise Problem("LOG_TRUNCATED", "the compressed file breaks off", place=str(path), remedy=remedy) from None
    except (zlib.error, ValueError):
        raise _damaged(path) from None
    except OSError as error:
        # bzip2 and gzip report damage as an error of the system without a number
        raise (_damaged(path) if error.errno is None else _unreadable(path, error)) from None


def _damaged(path: Path) -> Problem:
    remedy = "copy the file again and compare its checksum"
    return Problem("LOG_DAMAGED", "the compressed file is damaged", place=str(path), remedy=remedy)


def _unreadable(path: Path, error: OSError) -> Problem:
    remedy = "name a file that this account may read"
    return Problem("LOG_UNREADABLE", f"cannot be read: {error.strerror}", place=str(path), remedy=remedy)


def _line_ends(data: bytes) -> npt.NDArray[np.int64]:
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == _NEWLINE)
    if data and data[-1] != _NEWLINE:
        ends = np.append(ends, len(data))
    return ends


def _utf8(data: bytes, notes: Notes) -> bytes:
    """Replace bytes that are not UTF-8: an odd letter in a job's name must not cost the job."""
    try:
        data.decode()
    except UnicodeDecodeError:
        notes.add("bytes that are not UTF-8 were replaced by a question mark in a diamond")
        return data.decode(errors="replace").encode()
    return data
