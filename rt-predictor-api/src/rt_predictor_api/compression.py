"""Tells whether an Arrow IPC stream has compressed buffers, before Arrow would decompress them.

A few megabytes can hold buffers that decompress to more memory than there is, and Arrow has no limit for it. The
compression is noted in each message's metadata, a FlatBuffer, of which Arrow's Python library gives only the bytes:
https://arrow.apache.org/docs/format/Columnar.html#encapsulated-message-format
"""

from __future__ import annotations

import struct

import pyarrow as pa

_HEADER = 2
"""Number of the field ``header`` in Arrow's table ``Message``."""

_DATA = 1
"""Number of the field ``data`` in ``DictionaryBatch``."""

_FORMER = b"ARROW:experimental_compression"
"""Where Arrow 0.17 noted the compression; it is still read in messages that say to be of that time."""

_COMPRESSION = 3
"""Number of the field ``compression`` in ``RecordBatch``."""


def is_compressed(data: bytes) -> bool:
    """Return whether any message of an Arrow IPC stream has compressed buffers.

    Raises
    ------
    ValueError
        Where the bytes are no such stream.
    """
    try:
        return any(_has_compression(message) for message in pa.ipc.MessageReader.open_stream(data))
    except (struct.error, EOFError, OSError) as error:
        raise ValueError(f"no Arrow IPC stream: {error}") from error


def _has_compression(message: pa.ipc.Message) -> bool:
    metadata = message.metadata.to_pybytes()
    if _FORMER in metadata:
        return True
    header = _follow(metadata, _field(metadata, _follow(metadata, 0), _HEADER))
    if message.type == "dictionary":
        header = _follow(metadata, _field(metadata, header, _DATA))
    elif message.type != "record batch":
        return False
    return _field(metadata, header, _COMPRESSION) != 0


def _follow(buffer: bytes, position: int) -> int:
    """Return the position that a relative reference points to."""
    (distance,) = struct.unpack_from("<I", buffer, position)
    return int(position + distance)


def _field(buffer: bytes, table: int, number: int) -> int:
    """Return the position of a table's field; 0 where it is absent."""
    (distance,) = struct.unpack_from("<i", buffer, table)
    directory = table - distance
    (size,) = struct.unpack_from("<H", buffer, directory)
    entry = 4 + 2 * number
    if entry >= size:
        return 0
    (offset,) = struct.unpack_from("<H", buffer, directory + entry)
    return int(table + offset) if offset else 0
