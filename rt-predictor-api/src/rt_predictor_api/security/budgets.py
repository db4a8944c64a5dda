"""Token buckets, one for each of a bounded number of names.

A bucket is one number, the moment when it will be full again: the virtual scheduling form of the leaky bucket (ITU-T
I.371, GCRA). A full bucket is the same as none, so that forgetting full ones loses nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

MOST_NAMES = 10_000
"""Buckets kept unless told otherwise, about 200 bytes each."""

_ROUNDING = 1e-9
"""What sums of floats may be off by [units]; else a caller who waits as long as told might come too early."""


class Budgets:
    """What each name may spend: ``burst`` units at once, refilled at ``rate`` units per second.

    Parameters
    ----------
    rate, burst: of each name; ``rate`` above 0, ``burst`` at least 1.
    most: names remembered; beyond, those that have not spent for longest begin anew.
    clock: seconds that never go back.
    """

    def __init__(self, rate: float, burst: float, most: int, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._burst = burst
        self._most = most
        self._clock = clock
        self._full_at: OrderedDict[str, float] = OrderedDict()
        self._lock = Lock()

    def spend(self, name: str, cost: float = 1.0) -> float:
        """Take ``cost`` units and return 0, or take none and return how long to wait [s].

        One unit must be there. What more it costs may leave a debt, to be refilled before the next: so a large batch
        is possible at all, and is paid for afterwards.
        """
        with self._lock:
            now = self._clock()
            full_at = max(now, self._full_at.get(name, now))
            lacking = (full_at - now) * self._rate + 1.0 - self._burst
            if lacking > _ROUNDING:
                return lacking / self._rate
            self._full_at[name] = full_at + cost / self._rate
            self._full_at.move_to_end(name)
            self._forget(now)
            return 0.0

    def __len__(self) -> int:
        return len(self._full_at)

    def _forget(self, now: float) -> None:
        """Drop full buckets from the front, and the first where there are too many."""
        while self._full_at:
            name, full_at = next(iter(self._full_at.items()))
            if full_at > now and len(self._full_at) <= self._most:
                return
            del self._full_at[name]
