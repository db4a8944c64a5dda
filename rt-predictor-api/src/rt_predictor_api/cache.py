"""Answers and forecasts that are not made twice: what the same question or inputs led to, as long as there is room."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from threading import Condition, Lock
from typing import Generic, TypeVar

from cachetools import LRUCache, cached

from rt_predictor_api import metrics
from rt_predictor_api.metrics import Metrics
from rt_predictor_core.models.forecast import Forecasts

_Answer = TypeVar("_Answer")


class AnswerCache(Generic[_Answer]):
    """The answers that were given last, by their questions; safe for several threads.

    An answer is given again as long as nothing has changed, anywhere, that answers follow from. So it is found without
    a look at the history, and ``ForecastCache`` keeps what outlives a change of something else.

    Parameters
    ----------
    most: answers kept; the one that was not asked for the longest time makes room. 0 keeps none.
    counted: where hits are counted; misses are ``ForecastCache``'s.
    epoch: returns what answers follow from but for the question; None while that is not known.
    """

    def __init__(self, most: int, counted: Metrics, epoch: Callable[[], Hashable | None]) -> None:
        self._metrics = counted
        self._epoch = epoch
        self._lock = Lock()
        self._kept: LRUCache[Hashable, tuple[Hashable, _Answer]] = LRUCache(most)

    def find(self, question: Hashable) -> _Answer | None:
        """Return the answer to ``question`` if it is still true; treat it as read-only."""
        with self._lock:
            kept = self._kept.get(question)
        if kept is None or kept[0] != self._epoch():
            return None
        self._metrics.count(metrics.FORECAST_CACHE, "hit")
        return kept[1]

    def make(self, question: Hashable, make: Callable[[], _Answer]) -> _Answer:
        """Return what ``make`` returns, and keep it unless something has changed meanwhile."""
        if not self._kept.maxsize:
            return make()
        before = self._epoch()
        answer = make()
        if before is not None and before == self._epoch():
            with self._lock:
                self._kept[question] = before, answer
        return answer


class ForecastCache:
    """The forecasts that were asked for last, by everything that they follow from; safe for several threads.

    An entry is never out of date: what changes a forecast changes its key. Of equal calls at the same time one makes
    the forecast and the others wait for it; if that fails, the next one tries.

    Parameters
    ----------
    most: forecasts kept; the one that was not asked for the longest time makes room. 0 keeps none.
    counted: where hits and misses are counted.
    """

    def __init__(self, most: int, counted: Metrics) -> None:
        self._metrics = counted
        self._most = most
        self._kept = cached(LRUCache(most), key=lambda key, _: key, condition=Condition())(self._made)

    def get(self, key: Callable[[], Hashable], make: Callable[[], Forecasts]) -> Forecasts:
        """Return what ``make`` returns, or returned for the same ``key``; treat it as read-only."""
        if not self._most:
            return make()
        misses: list[bool] = []

        def missed() -> Forecasts:
            misses.append(True)
            return make()

        forecasts: Forecasts = self._kept(key(), missed)
        self._metrics.count(metrics.FORECAST_CACHE, "miss" if misses else "hit")
        return forecasts

    @staticmethod
    def _made(_key: Hashable, make: Callable[[], Forecasts]) -> Forecasts:
        return make()
