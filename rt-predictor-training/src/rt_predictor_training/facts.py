"""What training keeps of a whole log beside its newest jobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from rt_predictor_core.history.log import EventLog
from rt_predictor_core.requests import Requests

KNOWN_JOBS: Final = 1_000_000
"""Identities of this many newest ended jobs travel with the snapshot, so that a report of one counts once."""


@dataclass(frozen=True)
class Facts:
    """A log in few words.

    Attributes
    ----------
    jobs, ran, rejected: accepted rows, those of them that ran, refused rows.
    first_submit, last_submit, last_end: seconds since 1970. sources: names of its files and their format.
    notes: what a person should know of it. example: a request of a frequent recent user, by canonical names.
    known, known_end: uint64[k] and int64[k], identities of its newest ended jobs in the order of their ends.
    """

    jobs: int
    ran: int
    rejected: int
    first_submit: int
    last_submit: int
    last_end: int
    sources: tuple[str, ...]
    notes: tuple[str, ...]
    example: dict[str, str | float | None]
    known: np.ndarray
    known_end: np.ndarray

    @classmethod
    def of(
        cls,
        requests: Requests,
        events: EventLog,
        *,
        rejected: int,
        sources: tuple[str, ...],
        notes: tuple[str, ...],
        example: dict[str, str | float | None],
    ) -> Facts:
        """Collect the facts of the same rows of requests and events, in submit order."""
        ended = np.flatnonzero(events.ran)
        newest = ended[np.argsort(events.end[ended], kind="stable")][-KNOWN_JOBS:]
        return cls(
            jobs=len(events),
            ran=len(ended),
            rejected=rejected,
            first_submit=int(requests.submit_time[0]),
            last_submit=int(requests.submit_time[-1]),
            last_end=int(events.end[newest[-1]]) if len(newest) else 0,
            sources=sources,
            notes=notes,
            example=example,
            known=events.identity[newest],
            known_end=events.end[newest],
        )

    @property
    def known_from(self) -> int:
        """Jobs that ended before this moment [s since 1970] are taken to be in the log; 0 if all of them are known."""
        return int(self.known_end[0]) if self.ran > len(self.known) else 0

    def followed_by(self, newer: Facts) -> Facts:
        """Return the facts of this log and a newer one of other jobs together."""
        end = np.concatenate([self.known_end, newer.known_end])
        newest = np.argsort(end, kind="stable")[-KNOWN_JOBS:]
        return Facts(
            jobs=self.jobs + newer.jobs,
            ran=self.ran + newer.ran,
            rejected=self.rejected + newer.rejected,
            first_submit=min(self.first_submit, newer.first_submit),
            last_submit=max(self.last_submit, newer.last_submit),
            last_end=max(self.last_end, newer.last_end),
            sources=tuple(dict.fromkeys((*self.sources, *newer.sources))),
            notes=newer.notes,
            example=newer.example or self.example,
            known=np.concatenate([self.known, newer.known])[newest],
            known_end=end[newest],
        )
