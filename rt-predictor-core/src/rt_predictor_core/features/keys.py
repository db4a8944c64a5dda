"""Keys: whose ended jobs may tell something about this one, from coarse to fine."""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from rt_predictor_core.requests import NUMBERS, STEM, TEXTS, Requests

KEYS: Final = (
    "site",
    "partition",
    "account",
    "user",
    "user_partition",
    "user_request",
    "user_stem",
    "user_name",
    "user_stem_request",
    "user_work_dir",
)
"""The keys in the order of their columns. ``request`` is the pair requested wallclock and processors."""

SITE, PARTITION, ACCOUNT, USER, USER_PARTITION, USER_REQUEST, USER_STEM, USER_NAME, USER_STEM_REQUEST, USER_WORK_DIR = (
    range(len(KEYS))
)

TIERS: Final = ("none", "user", "user+request", "user+name", "user+name+request")
"""How much history stands behind a forecast; the order of ``HistoryRows.tier``."""

TIER_KEYS: Final = (USER, USER_REQUEST, USER_STEM, USER_STEM_REQUEST)
"""The key whose ended jobs decide each tier but ``none``."""

_USER, _ACCOUNT, _PARTITION = TEXTS.index("user"), TEXTS.index("account"), TEXTS.index("partition")
_NAME, _WORK_DIR = TEXTS.index("name"), TEXTS.index("work_dir")
_WALLCLOCK, _PROCESSORS = NUMBERS.index("wallclock_req"), NUMBERS.index("processors_req")
_UNKNOWN = np.uint64(0)


@njit(cache=True)
def _mix(a: np.uint64, b: np.uint64) -> np.uint64:
    # the finaliser of SplitMix64 (Steele, Lea, Flood 2014); the lowest bit is set so that no key is 0
    z = a * np.uint64(0x9E3779B97F4A7C15) + b + np.uint64(0x632BE59BD9B4E019)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z ^ (z >> np.uint64(31))) | np.uint64(1)


@njit(cache=True)
def _join(kind: int, a: np.uint64, b: np.uint64) -> np.uint64:
    if a == _UNKNOWN or b == _UNKNOWN:
        return _UNKNOWN
    return _mix(_mix(np.uint64(kind), a), b)


@njit(cache=True, nogil=True)
def fill(texts: np.ndarray, numbers: np.ndarray, keys: np.ndarray) -> None:
    """Write ``keys_of`` requests with these ``texts`` and ``numbers`` into ``keys``, which are 0 before."""
    one = np.uint64(1)
    for i in range(len(texts)):
        user = texts[i, _USER]
        wallclock, processors = numbers[i, _WALLCLOCK], numbers[i, _PROCESSORS]
        request = _UNKNOWN
        if not np.isnan(wallclock):
            request = _mix(np.uint64(wallclock), np.uint64(0 if np.isnan(processors) else processors))
        keys[i, SITE] = one
        keys[i, PARTITION] = _join(PARTITION, texts[i, _PARTITION], one)
        keys[i, ACCOUNT] = _join(ACCOUNT, texts[i, _ACCOUNT], one)
        keys[i, USER] = _join(USER, user, one)
        keys[i, USER_PARTITION] = _join(USER_PARTITION, user, texts[i, _PARTITION])
        keys[i, USER_REQUEST] = _join(USER_REQUEST, user, request)
        keys[i, USER_STEM] = _join(USER_STEM, user, texts[i, STEM])
        keys[i, USER_NAME] = _join(USER_NAME, user, texts[i, _NAME])
        keys[i, USER_STEM_REQUEST] = _join(USER_STEM_REQUEST, keys[i, USER_STEM], request)
        keys[i, USER_WORK_DIR] = _join(USER_WORK_DIR, user, texts[i, _WORK_DIR])


def keys_of(requests: Requests) -> np.ndarray:
    """Return the history keys of each request, uint64[n, len(KEYS)]; 0 where a part of the key is unknown."""
    keys = np.zeros((len(requests), len(KEYS)), np.uint64)
    fill(requests.texts, requests.numbers, keys)
    return keys
