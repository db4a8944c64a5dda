"""Moments as people read them."""

from __future__ import annotations

from datetime import UTC, datetime


def minute(seconds: int) -> str:
    """Return a moment [s since 1970] as date and time of day, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
