"""Mutations: valid messages, archives and documents made wrong at random, with an eye for what they are made of."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import numpy as np
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

WORDS = (
    0,
    1,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    (1 << 63) - 1,
    1 << 63,
    (1 << 64) - 1,
)
"""Numbers at which widths and signs end."""

NUMBERS: tuple[Any, ...] = (
    *(0, -1, 1, 2, 255, 2**31 - 1, -(2**31), 2**32 - 1, 2**53, 2**63 - 1, -(2**63), 2**64 - 1, 4_102_444_800),
    *(0.0, -0.0, 0.5, 1e-320, -1e300, 1e308, float("inf"), float("-inf"), float("nan")),
)
TEXTS = (
    "",
    "\0",
    "a" * 257,
    "a" * 20_000,
    "../" * 9,
    "\u202e",
    "\U0010ffff" * 300,
    "%s%n",
    "ada",
    "rt-predictor",
    "risk",
)
VALUES: tuple[Any, ...] = (*NUMBERS, *TEXTS, None, True, [], {}, [[]], [None] * 3, {"": {}}, 10**400)


def bend(content: bytes, others: Sequence[bytes], random: Random) -> bytes:
    """Return bytes with one to four places changed, some with a piece of another seed."""
    data = bytearray(content)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        random.choice(_BENDS)(data, others, random)
    return bytes(data)


def _at(data: bytearray, random: Random) -> int:
    return random.randrange(len(data)) if data else 0


def _flip(data: bytearray, _others: Sequence[bytes], random: Random) -> None:
    if data:
        data[_at(data, random)] ^= 1 << random.randrange(8)


def _number(data: bytearray, _others: Sequence[bytes], random: Random) -> None:
    at, size = _at(data, random), random.choice((1, 2, 4, 8))
    word = random.choice(WORDS) & ((1 << 8 * size) - 1)
    data[at : at + size] = word.to_bytes(size, random.choice(("little", "big")))


def _nudge(data: bytearray, _others: Sequence[bytes], random: Random) -> None:
    """Change a byte by a little: what is a length then says a little too much or too little."""
    if data:
        at = _at(data, random)
        data[at] = (data[at] + random.randint(-4, 4)) % 256


def _cut(data: bytearray, _others: Sequence[bytes], random: Random) -> None:
    at = _at(data, random)
    del data[at : at + random.choice((1, 4, 64, len(data)))]


def _repeat(data: bytearray, _others: Sequence[bytes], random: Random) -> None:
    at = _at(data, random)
    piece = data[at : at + random.randint(1, 64)]
    data[at:at] = piece * random.choice((1, 1, 2, 30))


def _splice(data: bytearray, others: Sequence[bytes], random: Random) -> None:
    other = random.choice(others) if others else b"\xff" * 8
    begin = random.randrange(len(other) + 1)
    at = _at(data, random)
    data[at : at + random.randint(0, 16)] = other[begin : begin + random.randint(1, 200)]


_BENDS: tuple[Callable[[bytearray, Sequence[bytes], Random], None], ...] = (
    *(_flip, _flip, _number, _number, _nudge),
    *(_cut, _repeat, _splice),
)


def reword(message: Message, random: Random) -> None:
    """Change a field somewhere in a message, within the types of its contract."""
    field = random.choice(message.DESCRIPTOR.fields)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        _rename(getattr(message, field.name), field, random)
    elif field.is_repeated:
        _reword_repeated(message, field, random)
    elif field.message_type is not None:
        reword(getattr(message, field.name), random)
    elif random.random() < 0.1:  # most of the time there is more to be found in a value
        message.ClearField(field.name)
    else:
        setattr(message, field.name, fitting(field, random))


def _rename(entries: Any, field: FieldDescriptor, random: Random) -> None:
    name = random.choice(TEXTS[-3:])
    if field.message_type.fields_by_name["value"].message_type is None:
        entries[name] = fitting(field.message_type.fields_by_name["value"], random)
    else:
        reword(entries[name], random)


def _reword_repeated(message: Message, field: FieldDescriptor, random: Random) -> None:
    values = getattr(message, field.name)
    if values and random.random() < 0.3:  # as above
        del values[random.randrange(len(values))]
    elif field.message_type is None:
        values.extend([fitting(field, random)] * random.choice((1, 1, 3, 700)))
    elif values and random.random() < 0.7:
        reword(random.choice(values), random)
    else:
        added = values.add()
        if len(values) > 1:
            added.CopyFrom(values[0])
        reword(added, random)


def fitting(field: FieldDescriptor, random: Random) -> Any:
    """Return a value that a field of the contract takes."""
    kind = field.cpp_type
    if kind == field.CPPTYPE_STRING:
        text = random.choice(TEXTS)
        return text.encode() * random.choice((1, 1, 8)) if field.type == field.TYPE_BYTES else text
    if kind == field.CPPTYPE_BOOL:
        return random.random() < 0.5
    number = random.choice(NUMBERS)
    if kind in {field.CPPTYPE_DOUBLE, field.CPPTYPE_FLOAT}:
        return float(number)
    return _within(_BITS[kind], kind in _SIGNED, number)


_BITS = {
    FieldDescriptor.CPPTYPE_INT32: 32,
    FieldDescriptor.CPPTYPE_INT64: 64,
    FieldDescriptor.CPPTYPE_UINT32: 32,
    FieldDescriptor.CPPTYPE_UINT64: 64,
    FieldDescriptor.CPPTYPE_ENUM: 32,
}
_SIGNED = {FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_ENUM}


def _within(bits: int, signed: bool, number: float) -> int:  # noqa: FBT001  # two facts of one type
    whole = int(number) if abs(number) < 2.0**70 else 2**31  # a NaN is no less than anything
    whole %= 1 << bits
    return whole - (1 << bits) if signed and whole >= 1 << (bits - 1) else whole


def redraft(document: Any, random: Random) -> Any:
    """Return a JSON document with one value somewhere replaced, removed or repeated."""
    holder = document
    while True:
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        key = random.choice(keys)
        inner = holder[key]
        if isinstance(inner, dict | list) and inner and random.random() < 0.8:  # deeper, mostly
            holder = inner
            continue
        action = random.random()
        if action < 0.1:
            del holder[key]
        elif action < 0.2 and isinstance(holder, list):
            holder.append(inner)
        else:
            holder[key] = random.choice(VALUES)
        return document


def to_json(document: Any) -> bytes:
    """Return a document as Python's own parser takes it, NaN and all."""
    return json.dumps(document).encode()


def rearray(array: np.ndarray, random: Random) -> np.ndarray:
    """Return an array with elements, shape or type changed."""
    action = random.random()
    if action < 0.7 and array.size:  # elements: what leads to other places
        changed = array.copy()
        flat = changed.reshape(-1)
        for _ in range(random.choice((1, 1, 4))):
            flat[random.randrange(flat.size)] = _element(array.dtype, random)
        return changed
    if action < 0.85:
        return random.choice((array[:-1] if array.ndim and len(array) else array, array[None], array.reshape(-1)))
    return _retyped(array, random.choice(("f8", "f4", "i8", "i4", "u8", "?", "S3", "c16", "M8[s]", "i2")))


def _retyped(array: np.ndarray, kind: str) -> np.ndarray:
    with np.errstate(all="ignore"):
        try:
            return array.astype(kind)
        except (TypeError, ValueError):
            return np.zeros(array.shape, kind)


def _element(kind: np.dtype[Any], random: Random) -> Any:
    if kind.kind == "f":
        with np.errstate(over="ignore"):
            return kind.type(float(random.choice(NUMBERS)))
    if kind.kind in "iu":
        near = random.choice((-70, -9, -3, -2, -1, 0, 1, 2, 5, 60, 500, 2_047, 2_048, 10**6))
        number = near if random.random() < 0.6 else random.choice(WORDS)
        return np.array(number % (1 << 64), np.uint64).astype(kind)[()]
    return random.random() < 0.5


def rezip(content: bytes, random: Random) -> bytes:
    """Return an npz archive with one of its arrays changed, removed, or its header bent."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = random.choice(list(members))
    action = random.random()
    if action < 0.1:
        del members[name]
    elif action < 0.25:
        members[name] = bend(members[name][:128], list(members.values()), random) + members[name][128:]
    else:
        sink = io.BytesIO()
        np.save(sink, rearray(np.load(io.BytesIO(members[name])), random))
        members[name] = sink.getvalue()
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for each, raw in members.items():
            archive.writestr(each, raw)
    return sink.getvalue()
