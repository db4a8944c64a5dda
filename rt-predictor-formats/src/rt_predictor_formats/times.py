"""Slurm's durations: the six written forms, and how people say them.

The forms are those of sbatch's ``--time`` (https://slurm.schedmd.com/sbatch.html): minutes, minutes:seconds,
hours:minutes:seconds, days-hours, days-hours:minutes, days-hours:minutes:seconds.
"""

from __future__ import annotations

import re
from itertools import pairwise

from rt_predictor_formats.errors import Problem, shown

MINUTE, HOUR, DAY = 60, 3600, 86_400
LONGEST = 366 * DAY
"""Longest duration that is taken for one [s]."""

_NO_LIMIT = frozenset({"unlimited", "infinite", "not_set", "partition_limit", "-1", ""})
_FORM = re.compile(
    r"(?:(?P<days>\d{1,9})-)?(?P<first>\d{1,9})(?::(?P<second>\d{1,9}))?(?::(?P<third>\d{1,9}))?", re.ASCII
)


def parse_duration(text: str) -> int | None:
    """Return a duration in seconds; None for no limit (``UNLIMITED``, ``0`` and their like).

    Raises Problem DURATION_INVALID for anything else that is not one of the six forms or is longer than ``LONGEST``.
    """
    if text.strip().lower() in _NO_LIMIT:
        return None
    return parse_elapsed(text) or None


def parse_elapsed(text: str) -> int:
    """Return how long something took or has taken, in seconds; ``0`` is no time at all.

    Raises Problem DURATION_INVALID as ``parse_duration`` does, and for ``UNLIMITED`` and its like.
    """
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise _invalid(text)
    first, second, third = (int(match[name] or 0) for name in ("first", "second", "third"))
    if match["days"] is not None:
        seconds = int(match["days"]) * DAY + first * HOUR + second * MINUTE + third
    elif match["third"] is not None:
        seconds = first * HOUR + second * MINUTE + third
    else:
        seconds = first * MINUTE + second
    if seconds > LONGEST:
        raise _invalid(text)
    return seconds


def _invalid(text: str) -> Problem:
    remedy = "write minutes, MM:SS, HH:MM:SS, D-HH, D-HH:MM or D-HH:MM:SS, up to 366 days"
    return Problem("DURATION_INVALID", f"{shown(text)} is no duration", remedy=remedy)


def ceil_minute(seconds: float) -> int:
    """Return the duration rounded up to whole minutes, as Slurm does [s]."""
    return int(-(-seconds // MINUTE) * MINUTE)


def format_duration(seconds: float) -> str:
    """Return a duration as it can be pasted after ``--time=``: ``D-HH:MM:SS``, without the days when there are none.

    ``seconds`` is rounded to whole seconds and must not be negative. Slurm reads ``00:00:00`` as no limit.
    """
    whole = round(seconds)
    days, rest = divmod(whole, DAY)
    clock = f"{rest // HOUR:02d}:{rest % HOUR // MINUTE:02d}:{rest % MINUTE:02d}"
    return f"{days}-{clock}" if days else clock


def human_duration(seconds: float) -> str:
    """Return a duration as people write it, in its two largest units: ``2 h 10 min``, ``45 s``, ``3 d 4 h``."""
    whole = round(seconds)
    units = ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (1, "s"))
    for (size, unit), (smaller, smaller_unit) in pairwise(units):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {unit} {rest} {smaller_unit}" if rest else f"{whole // size} {unit}"
    return f"{whole} s"
