"""Reading arrays out of npz files that nobody vouches for: bounded, and without anything but plain arrays."""

from __future__ import annotations

import struct
from io import BytesIO
from math import prod
from tokenize import TokenError
from typing import Final
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo
from zlib import error as DeflateError  # noqa: N812 - zlib names it as no class

import numpy as np
from numpy.lib import format as npy

MOST_BYTES: Final = 4 << 30
"""What the arrays of a file may take in memory [bytes]; a few megabytes can hold zeros that unfold to terabytes."""

_NAME = ".npy"
_DAMAGED = (
    *(BadZipFile, DeflateError, EOFError, NotImplementedError, RuntimeError, struct.error, OSError),
    *(SyntaxError, TokenError),  # of a header, which is a literal of Python's
)


def read(content: bytes) -> dict[str, np.ndarray]:
    """Return the arrays of an npz file by name.

    Raises ValueError where it is none, holds anything but plain arrays, or unfolds to more than ``MOST_BYTES``.
    """
    try:
        with ZipFile(BytesIO(content)) as archive:
            members = archive.infolist()
            if sum(member.file_size for member in members) > MOST_BYTES:
                raise ValueError(f"the arrays take more than {MOST_BYTES} bytes")
            return {member.filename.removesuffix(_NAME): _array(archive, member) for member in members}
    except _DAMAGED as error:
        raise ValueError(f"no npz file ({error})") from error


def _array(archive: ZipFile, member: ZipInfo) -> np.ndarray:
    """Return the array of a member; its header says nothing that its contents do not bear out."""
    if member.compress_type not in {ZIP_STORED, ZIP_DEFLATED} or not member.filename.endswith(_NAME):
        raise ValueError(f"{member.filename!r} is no array")
    raw = BytesIO(archive.read(member))
    if npy.read_magic(raw) != (1, 0):
        raise ValueError(f"{member.filename} has no header of version 1.0")
    shape, by_columns, kind = npy.read_array_header_1_0(raw)
    if kind.hasobject or any(length < 0 for length in shape):
        raise ValueError(f"{member.filename} is no plain array")
    values = np.frombuffer(raw.getbuffer()[raw.tell() :], kind, prod(shape))
    return values.reshape(shape, order="F" if by_columns else "C").copy()
