"""Links that can be shared: a job as the parameters of an address, named as the options of ``rtp predict``.

``?user=ada&time=1-00:00:00&nodes=2`` fills the form. ``mem`` is the memory over all nodes, as the form has it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from rt_predictor_formats.errors import Problem, shown
from rt_predictor_formats.memory import parse_memory
from rt_predictor_formats.sbatch import JobRequest
from rt_predictor_formats.times import format_duration, parse_duration
from rt_predictor_ui.text import memory_text

COLUMNS: Final[Mapping[str, str]] = {
    "user": "user",
    "time": "wallclock_req",
    "nodes": "nodes_req",
    "processors": "processors_req",
    "gpus": "gpus_req",
    "mem": "mem_req",
    "partition": "partition",
    "account": "account",
    "qos": "qos",
    "name": "name",
    "dir": "work_dir",
}
"""The column that each parameter means."""

RISK: Final = "risk"
"""The parameter of the accepted risk, a share in [0.01, 0.5]."""

LEAST_RISK, MOST_RISK = 0.01, 0.5
_LONGEST = 4096
_MOST = 1_000_000


def from_query(query: Mapping[str, str]) -> tuple[dict[str, str | int], list[Problem]]:
    """Return what the form shall show by column, and what cannot be read; parameters of others are passed over."""
    values: dict[str, str | int] = {}
    problems = []
    for name, column in COLUMNS.items():
        text = query.get(name, "").strip()
        if not text:
            continue
        try:
            values[column] = _READERS.get(column, _text)(text)
        except Problem as problem:
            problems.append(Problem(problem.code, problem.thing, place=f"?{name}=", remedy=problem.remedy))
    return values, problems


def risk_from(query: Mapping[str, str]) -> float | None:
    """Return the accepted risk; None if there is none that can be accepted."""
    try:
        risk = float(query.get(RISK, ""))
    except ValueError:
        return None
    return risk if LEAST_RISK <= risk <= MOST_RISK else None


def to_query(request: JobRequest, risk: float) -> dict[str, str]:
    """Return the parameters that fill the form with a request."""
    written: Mapping[str, Callable[[float], str]] = {"wallclock_req": format_duration, "mem_req": memory_text}
    values = ((name, column, getattr(request, column)) for name, column in COLUMNS.items())
    query = {name: written.get(column, str)(value) for name, column, value in values if value is not None}
    return {**query, RISK: f"{risk:g}"}


def _text(text: str) -> str:
    return text[:_LONGEST]


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text[:9]) <= _MOST):
        raise Problem("COUNT_INVALID", f"{shown(text)} is no count", remedy=f"write a whole number up to {_MOST:,}")
    return int(text[:9])


def _positive(text: str) -> int:
    count = _count(text)
    if count == 0:
        raise Problem("COUNT_INVALID", f"{shown(text)} is no count", remedy="write a whole number from 1 up")
    return count


def _checked(parse: Callable[[str], object]) -> Callable[[str], str]:
    """Return what gives a text back that the form can read."""

    def read(text: str) -> str:
        parse(text)
        return text

    return read


_READERS: Final[Mapping[str, Callable[[str], str | int]]] = {
    "wallclock_req": _checked(parse_duration),
    "mem_req": _checked(parse_memory),
    "nodes_req": _positive,
    "processors_req": _positive,
    "gpus_req": _count,
}
