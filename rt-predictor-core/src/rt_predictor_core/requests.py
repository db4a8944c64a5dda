"""Requests: what the scheduler knows of jobs at their submit time, as columns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from math import nan
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

NUMBERS: Final = ("wallclock_req", "nodes_req", "processors_req", "gpus_req", "mem_req")
"""Numeric columns in the order of ``Requests.numbers``."""

TEXTS: Final = ("user", "account", "partition", "qos", "name", "work_dir")
"""Text columns in the order of ``Requests.texts``; the last column holds the name's stem."""

STEM: Final = len(TEXTS)
"""Column of ``Requests.texts`` with the hash of the name without its digits."""

_REMEMBERED: Final = 16_384
"""Texts whose hash is remembered: the same users, accounts and partitions come again and again."""

_DIGITS = re.compile(r"[0-9]+")  # ASCII alone, as Arrow's expression below


def stem(name: str) -> str:
    """Return a job name with each run of digits replaced by ``#``: ``run_0042`` and ``run_0043`` are alike."""
    return _DIGITS.sub("#", name)


@lru_cache(maxsize=_REMEMBERED)
def hash_text(text: str | None) -> int:
    """Return a stable 64-bit hash of a text (BLAKE2b); 0 for an unknown or empty one."""
    if not text:
        return 0
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little") | 1


@lru_cache(maxsize=_REMEMBERED)
def _hash_stem(name: str | None) -> int:
    return hash_text(stem(name or ""))


def identity(job_id: str, submit_time: int) -> int:
    """Return the 64-bit identity of a job within its cluster."""
    return hash_text(f"{job_id}\0{submit_time}")


@dataclass(frozen=True)
class Requests:
    """What is known of ``n`` jobs when they are submitted.

    Attributes
    ----------
    texts: uint64[n, len(TEXTS) + 1], hashes of the texts and of the name's stem; 0 is unknown.
    numbers: float64[n, len(NUMBERS)], in the units of the canonical schema; NaN is unknown.
    submit_time: int64[n], seconds since 1970.
    """

    texts: np.ndarray
    numbers: np.ndarray
    submit_time: np.ndarray

    def __len__(self) -> int:
        return len(self.submit_time)

    @property
    def wallclock_req(self) -> np.ndarray:
        """Requested wallclock, float64[n] in seconds; NaN is unknown."""
        return self.numbers[:, 0]

    @classmethod
    def from_rows(cls, rows: Sequence[Mapping[str, Any]]) -> Requests:
        """Build from mappings with the canonical column names; ``submit_time`` [s since 1970] is required."""
        texts = np.empty((len(rows), len(TEXTS) + 1), np.uint64)
        numbers = np.empty((len(rows), len(NUMBERS)))
        submit = np.empty(len(rows), np.int64)
        for i, row in enumerate(rows):
            for j, column in enumerate(TEXTS):
                texts[i, j] = hash_text(row.get(column))
            texts[i, STEM] = _hash_stem(row.get("name"))
            for j, column in enumerate(NUMBERS):
                value = row.get(column)
                numbers[i, j] = nan if value is None else value
            submit[i] = row["submit_time"]
        return cls(texts, numbers, submit)

    @classmethod
    def from_arrow(cls, batch: pa.RecordBatch | pa.Table) -> Requests:
        """Build from a batch with canonical columns; absent columns are unknown, ``submit_time`` is required."""
        present = set(batch.schema.names)
        texts = np.zeros((batch.num_rows, len(TEXTS) + 1), np.uint64)
        for j, column in enumerate(TEXTS):
            if column in present:
                texts[:, j] = _hash_column(batch[column])
        if "name" in present:
            texts[:, STEM] = _hash_column(pc.replace_substring_regex(_decoded(batch["name"]), r"[0-9]+", "#"))
        numbers = np.full((batch.num_rows, len(NUMBERS)), np.nan)
        for j, column in enumerate(NUMBERS):
            if column in present:
                numbers[:, j] = pc.fill_null(pc.cast(batch[column], pa.float64()), np.nan).to_numpy(
                    **_copy_allowed(batch[column])
                )
        return cls(texts, numbers, seconds(batch["submit_time"]))

    def take(self, rows: np.ndarray | slice) -> Requests:
        """Return the rows that an index array, a mask or a slice selects."""
        return Requests(self.texts[rows], self.numbers[rows], self.submit_time[rows])


def seconds(column: pa.Array | pa.ChunkedArray, missing: int = 0) -> np.ndarray:
    """Return a timestamp column as int64[n] seconds since 1970, ``missing`` where it is null."""
    whole = pc.cast(pc.cast(column, pa.timestamp("s", tz="UTC"), safe=False), pa.int64())
    return np.asarray(pc.fill_null(whole, missing).to_numpy(**_copy_allowed(column)), np.int64)


def _copy_allowed(column: pa.Array | pa.ChunkedArray) -> dict[str, bool]:
    return {} if isinstance(column, pa.ChunkedArray) else {"zero_copy_only": False}


def _decoded(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    return pc.cast(column, pa.string())


def _hash_column(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    encoded = _decoded(column)
    encoded = pc.dictionary_encode(encoded)
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.unify_dictionaries().combine_chunks()
        if isinstance(encoded, pa.ChunkedArray):  # no rows at all
            return np.zeros(0, np.uint64)
    hashes = np.array([hash_text(value) for value in encoded.dictionary.to_pylist()] + [0], np.uint64)
    indices: np.ndarray = pc.fill_null(encoded.indices, len(hashes) - 1).to_numpy(zero_copy_only=False)
    return np.asarray(hashes[indices])
