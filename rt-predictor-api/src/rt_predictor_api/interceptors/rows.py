"""How many rows a message holds, whatever message of the contract it is."""

from __future__ import annotations

from typing import Any

from rt_predictor_api import arrow


def rows_of(message: Any) -> int:
    """Return the jobs or events of a message; 0 of one that asks for one job only."""
    payload: bytes = getattr(message, arrow.FIELD, b"")
    if payload:
        return arrow.count(payload)
    return len(getattr(message, "jobs", ())) + len(getattr(message, "events", ()))
