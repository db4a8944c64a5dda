"""The contract's rules, applied: which fields of a message break them, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.message import Message
from protovalidate import Validator
from protovalidate import Violation as Broken

LISTED_VIOLATIONS = 10
"""Violations that are told at most: they travel in the header of the answer, which has little room."""

_VALIDATOR = Validator()


@dataclass(frozen=True)
class Violation:
    """One broken rule: ``field`` is a path such as ``job.nodes_req``, ``description`` what is expected."""

    field: str
    description: str


class InvalidRequest(Exception):
    """A message that breaks rules of the contract; ``violations`` holds at least one."""

    def __init__(self, violations: Sequence[Violation]) -> None:
        self.violations = tuple(violations)
        super().__init__("; ".join(f"{violation.field}: {violation.description}" for violation in self.violations))


def few(broken: Sequence[Violation], more: str) -> InvalidRequest:
    """Return the refusal that tells the first violations, and below the field ``more`` how many there are beside."""
    rest = len(broken) - LISTED_VIOLATIONS
    return InvalidRequest([*broken[:LISTED_VIOLATIONS], *([Violation(more, f"and {rest} more")] if rest > 0 else [])])


def violations(message: Message) -> list[Violation]:
    """Return every rule that ``message`` breaks; empty where it is good."""
    return [_violation(broken) for broken in _VALIDATOR.collect_violations(message)]


def check(message: Message) -> None:
    """Do nothing for a good message.

    Raises
    ------
    InvalidRequest
        With every rule that ``message`` breaks.
    """
    if broken := violations(message):
        raise InvalidRequest(broken)


def _violation(broken: Broken) -> Violation:
    proto = broken.proto
    elements = proto.field.elements if proto.field else []
    # a rule of a whole message has no path; its id names what it is about: "job_event.job_id"
    path = ".".join(element.field_name for element in elements) or proto.rule_id.rpartition(".")[2]
    return Violation(path, proto.message)
