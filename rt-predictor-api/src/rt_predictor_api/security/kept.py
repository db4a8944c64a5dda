"""Values read from files, which change with them: a file that breaks is refused and logged, and the old value stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import structlog

from rt_predictor_api import metrics
from rt_predictor_api.metrics import Metrics
from rt_predictor_api.security import audit
from rt_predictor_formats.errors import Problem

T = TypeVar("T")

Contents = tuple[bytes, ...]


class Kept(Generic[T]):
    """A value from files.

    Parameters
    ----------
    what: its name, for log and metrics.
    paths: the files it is read from.
    read: makes the value from their contents, or raises a Problem.
    facts: what the audit log tells of a new value, given the old one and the new one.
    counted: where changes are counted; None where another one keeps the same files and tells of them.

    Attributes
    ----------
    value: the newest good one.

    Raises
    ------
    Problem
        ``FILE_UNREADABLE``, or what ``read`` raises, where there is no first value.
    """

    def __init__(
        self,
        what: str,
        paths: Sequence[Path],
        read: Callable[[Contents], T],
        facts: Callable[[T, T], Mapping[str, Any]],
        counted: Metrics | None,
    ) -> None:
        self._what = what
        self._paths = paths
        self._read = read
        self._facts = facts
        self._metrics = counted
        self._log = structlog.get_logger()
        # contents, not times: two changes within one tick of the file system's clock look the same
        self._seen: Contents | str = _contents(paths)
        self.value = read(self._seen)

    def look(self) -> None:
        """Take the files' value if they have changed and are good."""
        try:
            contents = _contents(self._paths)
        except Problem as problem:
            if self._seen != str(problem):
                self._seen = str(problem)
                self._refuse(problem)
            return
        if contents != self._seen:
            self._seen = contents
            self._take(contents)

    def _take(self, contents: Contents) -> None:
        try:
            value = self._read(contents)
        except Problem as problem:
            self._refuse(problem)
            return
        if value == self.value:
            return
        facts = self._facts(self.value, value)
        self.value = value
        if self._metrics:
            self._metrics.count(metrics.SECURITY_RELOADS, self._what, "taken")
            audit.record(f"{self._what} changed", **facts)

    def _refuse(self, problem: Problem) -> None:
        if self._metrics is None:
            return
        self._metrics.count(metrics.SECURITY_RELOADS, self._what, "refused")
        self._log.error("change refused, the former stays", what=self._what, reason=problem.code, problem=str(problem))
        audit.record(f"{self._what} refused", reason=problem.code)


def _contents(paths: Sequence[Path]) -> Contents:
    found = []
    for path in paths:
        try:
            found.append(path.read_bytes())
        except OSError as error:
            raise Problem(
                "FILE_UNREADABLE",
                f"cannot be read ({error.strerror})",
                place=str(path),
                remedy="put it there, readable for the service's user",
            ) from error
    return tuple(found)
