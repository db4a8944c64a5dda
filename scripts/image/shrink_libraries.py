"""Takes out of an environment's shared libraries what an image never loads: symbols for debuggers, and code for GPUs.

    scripts/image/shrink_libraries.py FOLDER

What is mapped into memory stays byte for byte at its address. `strip` moves it, which breaks libraries that the tools
of wheels have patched. CatBoost publishes no build without CUDA: 0.22 of its 0.28 GB are programs for GPUs. Their
addresses stay, and read as zeros; asked for a GPU where no driver is, CatBoost says so as it did before.

The format: Tool Interface Standard, Executable and Linking Format 1.2, and its 64-bit form in the System V ABI.
"""

from __future__ import annotations

import struct
import sys
from dataclasses import astuple, dataclass, replace
from pathlib import Path

MAGIC = b"\x7fELF\x02\x01"
"""64 bits, least significant byte first: what Linux runs on x86_64 and aarch64."""
HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
SEGMENT = struct.Struct("<IIQQQQQQ")
SECTION = struct.Struct("<IIQQQQIIQQ")
MAPPED, TABLE = 1, 6
"""Kinds of segments: mapped into memory, and the table of all segments."""
PAGE = 0x10000
"""The largest page of the processors that Linux runs on [byte]."""
FOR_GPUS = b".nv_fatbin"


@dataclass(frozen=True)
class Segment:
    """What of the file lies where in memory [byte]."""

    kind: int
    flags: int
    offset: int
    address: int
    physical: int
    in_file: int
    in_memory: int
    alignment: int


def _read_segments(content: bytes) -> list[Segment]:
    header = HEADER.unpack_from(content)
    start, number = header[5], header[10]
    return [Segment(*SEGMENT.unpack_from(content, start + row * SEGMENT.size)) for row in range(number)]


def _find_section(content: bytes, name: bytes) -> tuple[int, int] | None:
    """Return where a section begins and ends in the file [byte]."""
    header = HEADER.unpack_from(content)
    rows = [SECTION.unpack_from(content, header[6] + row * SECTION.size) for row in range(header[12])]
    if not rows:
        return None
    names = rows[header[13]][4]
    for row in rows:
        if content.startswith(name + b"\0", names + row[0]):
            return row[4], row[4] + row[5]
    return None


def drop_unmapped(content: bytes) -> bytes:
    """Return a library without what follows its last mapped byte, which is for debuggers and linkers alone."""
    header = list(HEADER.unpack_from(content))
    end = max(one.offset + one.in_file for one in _read_segments(content) if one.kind == MAPPED)
    if header[5] + header[9] * header[10] > end:
        return content  # the loader reads the table of segments from there
    header[6] = header[11] = header[12] = header[13] = 0
    return HEADER.pack(*header) + content[HEADER.size : end]


def drop_section(content: bytes, name: bytes) -> bytes:
    """Return a library whose section lies in memory as zeros, and not in the file."""
    place = _find_section(content, name)
    segments = _read_segments(content)
    if place is None:
        return content
    begin, end = place
    around = next(one for one in segments if one.kind == MAPPED and one.offset <= begin < one.offset + one.in_file)
    shift = around.address - around.offset
    # two more segments need a longer table of them: it goes where the section began
    table = -(-begin // 8) * 8
    size = (len(segments) + 2) * SEGMENT.size
    hole = -(-(table + size + shift) // PAGE) * PAGE - shift
    after = (end + shift) // PAGE * PAGE - shift
    if after <= hole:
        return content
    gone = after - hole
    parts = (
        replace(around, in_file=hole - around.offset, in_memory=hole - around.offset),
        replace(around, offset=hole, address=hole + shift, physical=hole + shift, in_file=0, in_memory=gone),
        replace(
            around,
            offset=hole,
            address=after + shift,
            physical=after + shift,
            in_file=around.offset + around.in_file - after,
            in_memory=around.offset + around.in_memory - after,
        ),
    )
    moved: list[Segment] = []
    for one in segments:
        if one is around:
            moved.extend(parts)
        elif one.kind == TABLE:
            place_of_table = {"offset": table, "address": table + shift, "physical": table + shift}
            moved.append(replace(one, **place_of_table, in_file=size, in_memory=size))
        else:
            moved.append(replace(one, offset=one.offset - gone) if one.offset >= after else one)
    header = list(HEADER.unpack_from(content))
    header[5], header[6], header[10] = table, header[6] - gone, len(moved)
    written = b"".join(SEGMENT.pack(*astuple(one)) for one in moved)
    return b"".join(
        (HEADER.pack(*header), content[HEADER.size : table], written, bytes(hole - table - size), content[after:])
    )


def shrink(path: Path) -> int:
    """Shrink a file in place if it is a library; return by how much [byte]."""
    content = path.read_bytes()
    if not content.startswith(MAGIC):
        return 0
    smaller = drop_unmapped(drop_section(content, FOR_GPUS))
    if len(smaller) == len(content):
        return 0
    # a new file: the old one may be one with the installer's cache
    new = path.with_name(path.name + ".new")
    new.write_bytes(smaller)
    new.chmod(path.stat().st_mode)
    new.replace(path)
    return len(content) - len(smaller)


def main(folder: Path) -> None:
    """Shrink every library below a folder."""
    files = [path for path in folder.rglob("*.so*") if path.is_file() and not path.is_symlink()]
    print(f"libraries: {sum(map(shrink, files)) / 1e6:.0f} MB smaller")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
