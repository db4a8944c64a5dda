"""How good the forecasts turn out to be: each reported end against what was said before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from rt_predictor_api import metrics
from rt_predictor_api.metrics import Metrics
from rt_predictor_core.history.events import Event

Identity = tuple[str, int]
"""A job's id and submit time [s since 1970]: all of a job's identity that a request for a forecast tells."""


@dataclass(frozen=True, slots=True)
class Said:
    """The part of a forecast that an end is compared with.

    ``median``, ``lower`` and ``upper`` in seconds; ``plain``, the quantiles before calibration [s], and ``tier`` are
    for the calibration of the model ``version`` that said it.
    """

    median: float
    lower: float
    upper: float
    plain: tuple[float, ...]
    tier: int
    version: str


class Memory(Protocol):
    """Where forecasts are remembered."""

    def keep(self, forecasts: Iterable[tuple[Identity, Said]]) -> None:
        """Remember forecasts; a later one of the same job replaces the earlier."""
        ...

    def find(self, identities: Sequence[Identity]) -> list[Said | None]:
        """Return what was said of jobs; None where nothing is remembered."""
        ...

    def finish(self, ended: Iterable[tuple[Identity, Said | None]]) -> None:
        """Expect no more ends of jobs; what was said of them before the end, None for nothing, can still be told."""
        ...

    def told(self, identities: Sequence[Identity]) -> list[Said | None]:
        """Return what was said of jobs that have ended or have not; None where nothing is remembered."""
        ...


class LiveScores:
    """Remembers forecasts until their jobs end, and counts how reported ends compare; safe for several threads.

    A job that nobody asked about is forecast when its submission or its start is reported, or at the latest, and then
    counted apart, when its end is: the history then knows a little more than it did at the submit time.

    Parameters
    ----------
    counted: where the comparison shows.
    memory: where forecasts are remembered.
    """

    def __init__(self, counted: Metrics, memory: Memory) -> None:
        self._metrics = counted
        self._memory = memory

    def remember(self, forecasts: Iterable[tuple[Identity, Said]]) -> None:
        """Keep forecasts until their jobs end; a later one for the same job replaces the earlier."""
        self._memory.keep(forecasts)

    def before(
        self, events: Sequence[Event], forecast: Callable[[Sequence[Event]], list[Said]]
    ) -> list[tuple[Said, bool]]:
        """Return what was said of each event's job and whether that was earlier than the event.

        ``forecast`` is asked, once, about the jobs of which nothing was said. Call this before the history learns
        of the events.
        """
        said = self._memory.find([_identity(event) for event in events])
        unknown = [event for event, one in zip(events, said, strict=True) if one is None]
        now = iter(forecast(unknown) if unknown else ())
        return [(next(now), False) if one is None else (one, True) for one in said]

    def learn(self, events: Sequence[Event], said: Sequence[tuple[Said, bool]], new: Sequence[bool]) -> None:
        """Count each new end against what was ``said`` of its job, and keep what was said of one that is to come."""
        to_come, over = [], []
        for event, (one, earlier), is_new in zip(events, said, new, strict=True):
            if not is_new:
                continue
            if event.end_time is None:
                to_come.append((_identity(event), one))
                continue
            over.append((_identity(event), one if earlier else None))
            if event.run_time:
                self._compare(one, event.run_time, "earlier" if earlier else "at_end")
        self._memory.finish(over)
        self.remember(to_come)

    def _compare(self, said: Said, run_time: float, when: str) -> None:
        side = "below" if run_time < said.lower else "above" if run_time > said.upper else "inside"
        self._metrics.observe(metrics.LIVE_ERROR, when, values=[abs(run_time - said.median)])
        self._metrics.count(metrics.LIVE_ENDS, when, side)


def _identity(event: Event) -> Identity:
    return event.job_id, event.submit_time
