"""Tensors as columns: what is written is read again, and nothing that is malformed gets through."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_inference.inference_pb2 import InferTensorContents, ModelInferRequest, ModelInferResponse
from rt_predictor_api.tensors import BYTES, DATATYPES, Malformed, read, row_count, write

InferInputTensor = ModelInferRequest.InferInputTensor
NUMBERS = [name for name in DATATYPES if name != BYTES]


def as_input(response: ModelInferResponse) -> tuple[InferInputTensor, bytes | None]:
    """Return the only output as a client would send it: the two messages are alike."""
    (output,) = response.outputs
    raw = response.raw_output_contents[0] if response.raw_output_contents else None
    return InferInputTensor.FromString(output.SerializeToString()), raw


@st.composite
def columns(draw: st.DrawFn) -> tuple[str, np.ndarray]:
    name = draw(st.sampled_from(NUMBERS))
    kind = DATATYPES[name].raw
    assert kind is not None
    if kind.kind == "f":
        element: st.SearchStrategy[Any] = st.floats(width=8 * kind.itemsize)
    else:
        limits = np.iinfo(kind)
        element = st.integers(int(limits.min), int(limits.max))
    return name, np.array(draw(st.lists(element, min_size=1, max_size=20)), kind)


@given(columns(), st.booleans())
def test_numbers_that_are_written_are_read(column: tuple[str, np.ndarray], raw: bool) -> None:  # noqa: FBT001
    name, values = column
    response = ModelInferResponse()
    write(response, "x", name, values, raw=raw)
    np.testing.assert_array_equal(read(*as_input(response), [name]), values)


@given(st.lists(st.text(), min_size=1, max_size=20), st.booleans())
def test_texts_that_are_written_are_read(texts: list[str], raw: bool) -> None:  # noqa: FBT001
    response = ModelInferResponse()
    write(response, "x", BYTES, np.array(texts, object), raw=raw)
    assert [text.decode() for text in read(*as_input(response), [BYTES])] == texts


@given(st.binary(max_size=60), st.integers(1, 10))
def test_any_raw_texts_are_read_or_malformed(raw: bytes, rows: int) -> None:
    tensor = InferInputTensor(name="user", datatype=BYTES, shape=[rows])
    try:
        texts = read(tensor, raw, [BYTES])
    except Malformed:
        return
    assert b"".join(len(text).to_bytes(4, "little") + bytes(text) for text in texts) == raw
    assert len(texts) == rows


@pytest.mark.parametrize("shape", [[], [0], [-1], [2, 2], [2, 0], [2, -1], [1, 2], [2, 1, 1], [-(2**62), 4]])
def test_a_shape_is_n_or_n_times_one(shape: list[int]) -> None:
    with pytest.raises(Malformed, match="shape"):
        row_count(shape)


def tensor(datatype: str, shape: list[int], **contents: Any) -> InferInputTensor:
    held = InferTensorContents(**contents) if contents else None
    return InferInputTensor(name="x", datatype=datatype, shape=shape, contents=held)


@pytest.mark.parametrize(
    ("malformed", "raw", "words"),
    [
        (tensor("FP16", [1]), b"\0\0", "not 'FP16'"),
        (tensor("", [1]), b"", "not ''"),
        (tensor("FP64", [2], fp64_contents=[1]), None, "2 values as its shape says, not 1"),
        (tensor("FP64", [1]), None, "1 values as its shape says, not 0"),
        (tensor("FP64", [1], fp32_contents=[1]), None, "fp64_contents alone, not in fp32_contents"),
        (tensor("INT64", [1], int64_contents=[1], fp64_contents=[1]), None, "int64_contents alone"),
        (tensor("INT8", [1], int_contents=[128]), None, "fit INT8"),
        (tensor("UINT16", [1], uint_contents=[65_536]), None, "fit UINT16"),
        (tensor("FP64", [1], fp64_contents=[1]), b"\0" * 8, "not in both"),
        (tensor("FP64", [2]), b"\0" * 15, "16 raw bytes as its shape says, not 15"),
        (tensor("UINT32", [1]), b"\0" * 8, "4 raw bytes as its shape says, not 8"),
        (tensor("FP64", [2**62]), b"\0" * 8, "raw bytes as its shape says"),
        (tensor("BYTES", [1]), b"\5\0\0\0abcd", "end within row 0"),
        (tensor("BYTES", [1]), b"\xff\xff\xff\xffabcd", "end within row 0"),
        (tensor("BYTES", [2]), b"\1\0\0\0a\1\0", "end within row 1"),
        (tensor("BYTES", [2]), b"\1\0\0\0a", "end within row 1"),
        (tensor("BYTES", [1]), b"\1\0\0\0ab", "1 raw bytes are left"),
    ],
)
def test_a_tensor_that_contradicts_itself_says_how(malformed: InferInputTensor, raw: bytes | None, words: str) -> None:
    with pytest.raises(Malformed, match=words):
        read(malformed, raw, list(DATATYPES))
