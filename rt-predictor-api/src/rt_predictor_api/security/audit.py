"""The audit log: one line for each act that changes what the service does or whom it answers, and for each refusal."""

from __future__ import annotations

from threading import Lock
from time import monotonic
from typing import Any

import structlog

from rt_predictor_api.security.budgets import Budgets

LOGGER = "audit"
"""Name of the logger, and value of ``logger`` in its lines; it ignores the least severity of the others."""

REFUSALS_PER_SECOND = 1.0
REFUSALS_AT_ONCE = 10
"""Refusals in a row that each get a line; then one a second, which tells how many were left out."""


def record(act: str, **facts: Any) -> None:
    """Write that ``act`` has happened. ``facts`` name who did it, where that is known, and never what a job asked."""
    structlog.get_logger(LOGGER).info(act, logger=LOGGER, **facts)


class Refusals:
    """Records calls that were refused, so that whoever guesses cannot fill the disk. Safe for several threads."""

    def __init__(self) -> None:
        self._lines = Budgets(REFUSALS_PER_SECOND, REFUSALS_AT_ONCE, 1, monotonic)
        self._left_out = 0
        self._lock = Lock()

    def record(self, reason: str, rpc: str, peer: str, **identity: str) -> None:
        """Write that a call was refused, or count it for the next line."""
        with self._lock:
            if self._lines.spend(LOGGER):
                self._left_out += 1
                return
            left_out, self._left_out = self._left_out, 0
        record("call refused", reason=reason, rpc=rpc, peer=peer, left_out=left_out, **identity)
