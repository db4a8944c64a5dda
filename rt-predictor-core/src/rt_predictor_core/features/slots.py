"""A hash table from 64-bit keys to rows, for compiled code: linear probing in arrays of 2^k places."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def slot_of(table: np.ndarray, slots: np.ndarray, key: np.uint64) -> int:
    """Return the place that holds ``key`` or is free for it; ``slots`` int64 is the row there, negative if free."""
    mask = len(table) - 1
    place = np.int64((key >> np.uint64(17)) & np.uint64(mask))
    while slots[place] >= 0 and table[place] != key:
        place = (place + 1) & mask
    return int(place)


@njit(cache=True, nogil=True)
def row_for(key: np.uint64, table: np.ndarray, slots: np.ndarray, used: np.ndarray) -> int:
    """Return the row of ``key``; a new key takes the next row, ``used[0]``, whose contents are the caller's to set."""
    place = slot_of(table, slots, key)
    if slots[place] < 0:
        table[place] = key
        slots[place] = used[0]
        used[0] += 1
    return int(slots[place])


@njit(cache=True, nogil=True)
def index(keys: np.ndarray, table: np.ndarray, slots: np.ndarray) -> None:
    """Enter ``keys``, uint64[k], into an empty table: the i-th leads to row i."""
    for row in range(len(keys)):
        place = slot_of(table, slots, keys[row])
        table[place] = keys[row]
        slots[place] = row


def empty(places: int, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a table of at least ``places`` places that knows ``keys``, and its slots."""
    size = 1 << (places - 1).bit_length()
    table, slots = np.zeros(size, np.uint64), np.full(size, -1, np.int64)
    index(keys, table, slots)
    return table, slots


def keys_by_row(table: np.ndarray, slots: np.ndarray, used: int) -> np.ndarray:
    """Return the keys in the order of their rows, uint64[used]."""
    keys = np.zeros(used, np.uint64)
    taken = slots >= 0
    keys[slots[taken]] = table[taken]
    return keys
