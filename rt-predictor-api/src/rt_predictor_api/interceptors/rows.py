"""How many rows a message holds, whatever message of the contract it is."""

from __future__ import annotations

from typing import Any

from rt_predictor_api import arrow
from rt_predictor_core.models.explanation import COMBINATIONS


def rows_of(message: Any) -> int:
    """Return the jobs or events that a message says it has; 0 of one that asks for one job only.

    An explanation counts as the jobs that are forecast for it.
    """
    if getattr(message, "explain", False):
        return COMBINATIONS
    payload: bytes = getattr(message, arrow.FIELD, b"")
    if payload:
        return arrow.count(payload)
    tensors = max((tensor.shape[0] for tensor in getattr(message, "inputs", ()) if tensor.shape), default=0)
    if not tensors:
        tensors = getattr(message, "page_size", 0)
    return len(getattr(message, "jobs", ())) + len(getattr(message, "events", ())) + max(tensors, 0)
