"""Enums of the contract as words."""

from __future__ import annotations

from typing import Any


def word(enum: Any, number: int, prefix: str) -> str:
    """Return an enum's value in lower case; a number that a newer service knows, as its number."""
    try:
        return str(enum.Name(number)).removeprefix(prefix).lower()
    except ValueError:
        return str(number)
