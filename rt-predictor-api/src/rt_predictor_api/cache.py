"""Forecasts that are not made twice: what the same inputs led to, as long as there is room."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from threading import Condition

from cachetools import LRUCache, cached

from rt_predictor_api import metrics
from rt_predictor_api.metrics import Metrics
from rt_predictor_core.models.forecast import Forecasts


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
