"""Tensors of the Open Inference Protocol as columns and back: datatypes, shapes, and both ways to hold values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from open_inference.inference_pb2 import ModelInferRequest, ModelInferResponse

Values: TypeAlias = np.ndarray | Sequence[bytes]
"""The values of a column: numbers, or texts as they came."""


class Malformed(ValueError):
    """A tensor that contradicts itself; the text is what is expected instead."""


@dataclass(frozen=True)
class Datatype:
    """How values are held: the field of ``InferTensorContents``, and the raw little-endian form; None for BYTES."""

    contents: str
    raw: np.dtype[Any] | None


BYTES = "BYTES"
DATATYPES = {
    **{f"INT{bits}": Datatype("int_contents", np.dtype(f"<i{bits // 8}")) for bits in (8, 16, 32)},
    **{f"UINT{bits}": Datatype("uint_contents", np.dtype(f"<u{bits // 8}")) for bits in (8, 16, 32)},
    "UINT64": Datatype("uint64_contents", np.dtype("<u8")),
    "INT64": Datatype("int64_contents", np.dtype("<i8")),
    "FP32": Datatype("fp32_contents", np.dtype("<f4")),
    "FP64": Datatype("fp64_contents", np.dtype("<f8")),
    BYTES: Datatype("bytes_contents", None),
}
"""The datatypes that a column may have; BOOL and the short floats are none of them."""

INTEGERS = tuple(name for name in DATATYPES if "INT" in name)
NUMBERS = (*INTEGERS, "FP32", "FP64")

_LENGTH_BYTES = 4


def row_count(shape: Sequence[int]) -> int:
    """Return the rows of a column whose shape is [n] or [n, 1]. Raises Malformed for any other."""
    if not shape or shape[0] < 1 or list(shape[1:]) not in ([], [1]):
        raise Malformed(f"must have the shape [n] or [n, 1] with n at least 1, not {list(shape)[:8]}")
    return int(shape[0])


def read(tensor: ModelInferRequest.InferInputTensor, raw: bytes | None, allowed: Sequence[str]) -> Values:
    """Return the values of a column, from ``raw`` where that is given.

    Raises Malformed where the datatype is none of ``allowed``, or the values do not fit it or the shape.
    """
    if tensor.datatype not in allowed:
        raise Malformed(f"must be {' or '.join(allowed)}, not {tensor.datatype[:20]!r}")
    rows, kind = row_count(tensor.shape), DATATYPES[tensor.datatype]
    if raw is None:
        return _from_contents(tensor, kind, rows)
    if tensor.HasField("contents"):
        raise Malformed("must have its values in contents or in raw_input_contents, not in both")
    return _texts(raw, rows) if kind.raw is None else _numbers(raw, kind.raw, rows)


def _from_contents(tensor: ModelInferRequest.InferInputTensor, kind: Datatype, rows: int) -> Values:
    held = [field.name for field, _ in tensor.contents.ListFields()]
    if held not in ([], [kind.contents]):
        raise Malformed(f"must have its values in {kind.contents} alone, not in {' and '.join(held)}")
    values = getattr(tensor.contents, kind.contents)
    if len(values) != rows:
        raise Malformed(f"must have {rows} values as its shape says, not {len(values)}")
    if kind.raw is None:
        return list(values)
    travelled = np.array(values)
    fitted = travelled.astype(kind.raw)
    # narrow integers travel in wider fields
    if kind.raw.kind != "f" and (fitted != travelled).any():
        raise Malformed(f"must have values that fit {tensor.datatype}")
    return fitted


def _numbers(raw: bytes, kind: np.dtype[Any], rows: int) -> np.ndarray:
    if len(raw) != rows * kind.itemsize:
        raise Malformed(f"must have {rows * kind.itemsize} raw bytes as its shape says, not {len(raw)}")
    return np.frombuffer(raw, kind)


def _texts(raw: bytes, rows: int) -> list[bytes]:
    """Return elements that each stand after their length."""
    texts, at = [], 0
    for row in range(rows):
        begin = at + _LENGTH_BYTES
        at = begin + int.from_bytes(raw[at:begin], "little")
        if max(begin, at) > len(raw):
            raise Malformed(f"must have {rows} values, but its raw bytes end within row {row}")
        texts.append(raw[begin:at])
    if at != len(raw):
        raise Malformed(f"must have {rows} values, but {len(raw) - at} raw bytes are left after them")
    return texts


def write(response: ModelInferResponse, name: str, datatype: str, values: np.ndarray, *, raw: bool) -> None:
    """Add a column to an answer, whose values are then all raw or all in contents; None is an empty text."""
    tensor = response.outputs.add(name=name, datatype=datatype, shape=values.shape)
    kind = DATATYPES[datatype]
    if kind.raw is not None:
        flat = values.ravel()
        if raw:
            response.raw_output_contents.append(flat.astype(kind.raw).tobytes())
        else:
            getattr(tensor.contents, kind.contents).extend(flat.tolist())
        return
    texts = [str(value or "").encode() for value in values.ravel()]
    if raw:
        lengths = (len(text).to_bytes(_LENGTH_BYTES, "little") for text in texts)
        response.raw_output_contents.append(b"".join(b"".join(pair) for pair in zip(lengths, texts, strict=True)))
    else:
        tensor.contents.bytes_contents.extend(texts)
