"""Every status has one exception and one exit status, and the documents name them all."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as Packed
from google.rpc import error_details_pb2, status_pb2

from rt_predictor_client.errors import EXIT_MEANINGS, Exit, Outdated, TimedOut, exit_status, from_rpc
from rt_predictor_formats.errors import Problem

COMMANDS = Path(__file__).parents[2] / "docs/reference/commands.md"
EXITS = {
    "UNAVAILABLE": Exit.UNREACHABLE,
    "CANCELLED": Exit.UNREACHABLE,
    "DEADLINE_EXCEEDED": Exit.UNREACHABLE,
    "INVALID_ARGUMENT": Exit.REJECTED,
    "OUT_OF_RANGE": Exit.REJECTED,
    "FAILED_PRECONDITION": Exit.REJECTED,
    "ALREADY_EXISTS": Exit.REJECTED,
    "NOT_FOUND": Exit.REJECTED,
    "UNAUTHENTICATED": Exit.REJECTED,
    "PERMISSION_DENIED": Exit.REJECTED,
    "RESOURCE_EXHAUSTED": Exit.REJECTED,
}


class Failed(grpc.RpcError):
    """A call that failed with a status, as grpc shows it to its caller."""

    def __init__(self, status: grpc.StatusCode, text: str = "", *details: Any) -> None:
        super().__init__()
        self._status, self._text = status, text
        message = status_pb2.Status(code=status.value[0], message=text)
        for detail in details:
            packed = Packed()
            packed.Pack(detail)
            message.details.append(packed)
        self._trailing = (("grpc-status-details-bin", message.SerializeToString()),) if details else ()

    def code(self) -> grpc.StatusCode:
        return self._status

    def details(self) -> str:
        return self._text

    def trailing_metadata(self) -> tuple[tuple[str, bytes], ...]:
        return self._trailing


@pytest.mark.parametrize("status", [status for status in grpc.StatusCode if status is not grpc.StatusCode.OK])
def test_every_status_has_its_exit_status(status: grpc.StatusCode) -> None:
    error = from_rpc(Failed(status, "words"), "host:1")
    assert exit_status(error) is EXITS.get(status.name, Exit.UNEXPECTED)
    assert error.remedy
    assert error.place == "host:1"
    assert "\n" not in str(error)


def test_a_problem_that_no_call_raised_is_about_the_input() -> None:
    assert exit_status(Problem("CSV_EMPTY", "no rows", remedy="add some")) is Exit.REJECTED


def test_details_that_contradict_the_status_are_left_alone() -> None:
    failed = Failed(grpc.StatusCode.INVALID_ARGUMENT, "words", error_details_pb2.RetryInfo())
    failed._status = grpc.StatusCode.UNIMPLEMENTED
    assert isinstance(from_rpc(failed, "host:1"), Outdated)


def test_words_of_the_transport_are_not_shown() -> None:
    error = from_rpc(Failed(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded: ipv4:127.0.0.1"), "host:1")
    assert isinstance(error, TimedOut)
    assert "ipv4" not in str(error)
    assert "--timeout" in error.remedy


def test_the_reference_lists_the_exit_statuses() -> None:
    table = dict(re.findall(r"^\| (\d) \| (.+?) \|", COMMANDS.read_text(encoding="utf-8"), re.MULTILINE))
    assert table == {str(status.value): text for status, text in EXIT_MEANINGS.items()}
    assert set(EXIT_MEANINGS) == set(Exit)


def test_the_reference_says_which_status_of_the_service_ends_in_which() -> None:
    rows = re.findall(r"^\| (\d) \| .+? \| (.*) \|$", COMMANDS.read_text(encoding="utf-8"), re.MULTILINE)
    told = {status: int(number) for number, statuses in rows for status in re.findall(r"`([A-Z_]+)`", statuses)}
    statuses = [status for status in grpc.StatusCode if status is not grpc.StatusCode.OK]
    assert told == {status.name: int(exit_status(from_rpc(Failed(status), "host:1"))) for status in statuses}
