"""Enums and times of the contract as Python values."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any


def word(enum: Any, number: int, prefix: str) -> str:
    """Return an enum's value in lower case; a number that a newer service knows, as its number."""
    try:
        return str(enum.Name(number)).removeprefix(prefix).lower()
    except ValueError:
        return str(number)


def moment(message: Any, name: str) -> datetime | None:
    """Return a field of a message that is a timestamp, in UTC; None if it is not stated."""
    return getattr(message, name).ToDatetime(tzinfo=UTC) if message.HasField(name) else None


def optional(message: Any, name: str) -> float | None:
    """Return a field of a message; None if it is not stated."""
    return getattr(message, name) if message.HasField(name) else None
