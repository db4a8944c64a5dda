"""The one shape of an error, for a command line, an RPC and a page: thing, place, remedy, code."""

from __future__ import annotations

VALUE_SHOWN = 80
"""Longest value quoted in an error [characters]; the rest is cut."""


class Problem(Exception):
    """Something that a person can mend.

    Attributes
    ----------
    code: UPPER_SNAKE and stable, for programs: ``LOG_EMPTY``, ``COLUMN_MISSING``, ``PORT_IN_USE``.
    thing: what is wrong, in a few words, with the value seen.
    place: where: a file with its line, a field, a setting, an address. May be empty.
    remedy: what to do next.

    ``str(problem)`` is one line: ``place: thing; remedy [code]``.
    """

    def __init__(self, code: str, thing: str, *, place: str = "", remedy: str) -> None:
        self.code = code
        self.thing = thing
        self.place = place
        self.remedy = remedy
        super().__init__(code, thing, place, remedy)

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        return " ".join(f"{where}{self.thing}; {self.remedy} [{self.code}]".split())


def shown(value: object) -> str:
    """Quote a value for an error, cut to ``VALUE_SHOWN`` characters."""
    text = repr(value)
    return text if len(text) <= VALUE_SHOWN else f"{text[: VALUE_SHOWN - 3]}..."
