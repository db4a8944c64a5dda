"""Each status of a service that raises it: one exception, one exit status, and what to do."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf import duration_pb2
from google.rpc import code_pb2, error_details_pb2

from rt_predictor_client import errors
from rt_predictor_client.client import Client
from rt_predictor_client.errors import Exit

JOB = {"user": "ada", "wallclock_req": 7200}
CASES = {
    "CANCELLED": (errors.Unreachable, "CANCELLED", Exit.UNREACHABLE, "ask again"),
    "UNKNOWN": (errors.ClientError, "SERVICE_FAILED", Exit.UNEXPECTED, "log"),
    "INVALID_ARGUMENT": (errors.Rejected, "REJECTED", Exit.REJECTED, "correct"),
    "DEADLINE_EXCEEDED": (errors.TimedOut, "TIMED_OUT", Exit.UNREACHABLE, "--timeout"),
    "NOT_FOUND": (errors.NotFound, "NOT_FOUND", Exit.REJECTED, "rtp model --list"),
    "ALREADY_EXISTS": (errors.Rejected, "REJECTED", Exit.REJECTED, "correct"),
    "PERMISSION_DENIED": (errors.NotAllowed, "NOT_ALLOWED", Exit.REJECTED, "administrator"),
    "RESOURCE_EXHAUSTED": (errors.TooMuch, "TOO_MUCH", Exit.REJECTED, "less"),
    "FAILED_PRECONDITION": (errors.Rejected, "REJECTED", Exit.REJECTED, "correct"),
    "ABORTED": (errors.ClientError, "SERVICE_FAILED", Exit.UNEXPECTED, "ask again"),
    "OUT_OF_RANGE": (errors.Rejected, "REJECTED", Exit.REJECTED, "correct"),
    "UNIMPLEMENTED": (errors.Outdated, "OUTDATED", Exit.UNEXPECTED, "version"),
    "INTERNAL": (errors.ClientError, "SERVICE_FAILED", Exit.UNEXPECTED, "log"),
    "UNAVAILABLE": (errors.Unreachable, "UNREACHABLE", Exit.UNREACHABLE, "RT_PREDICTOR_ADDRESS"),
    "DATA_LOSS": (errors.ClientError, "SERVICE_FAILED", Exit.UNEXPECTED, "log"),
    "UNAUTHENTICATED": (errors.NotAllowed, "NOT_KNOWN", Exit.REJECTED, "RT_PREDICTOR_TOKEN"),
}


def test_every_status_is_in_the_table() -> None:
    assert set(CASES) == {status.name for status in grpc.StatusCode if status is not grpc.StatusCode.OK}


@pytest.mark.parametrize("name", CASES)
def test_each_status_says_what_to_do(client: Client, peer: Any, name: str) -> None:
    kind, code, status, remedy = CASES[name]
    peer.refuse(code_pb2.Code.Value(name), text="words of the service")
    with pytest.raises(errors.ClientError) as caught:
        client.models()
    assert (type(caught.value), caught.value.code, errors.exit_status(caught.value)) == (kind, code, status)
    assert remedy in caught.value.remedy
    assert caught.value.place == peer.address


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.ClientError)]
    drawn = {line.split("── ")[1].split()[0]: line for line in (errors.__doc__ or "").splitlines() if "── " in line}
    assert set(drawn) == {kind.__name__ for kind in kinds}
    assert all(f"exit {kind.exit_status.value}" in drawn[kind.__name__] for kind in kinds)


def test_fields_of_a_bad_request_are_told(client: Client, peer: Any, details: Any) -> None:
    peer.refuse(code_pb2.INVALID_ARGUMENT, details(**{"job.nodes_req": "must be at least 1", "risk": "too low"}))
    with pytest.raises(errors.Rejected, match=r"job.nodes_req: must be at least 1; risk: too low") as caught:
        client.predict(JOB)
    assert caught.value.fields == (("job.nodes_req", "must be at least 1"), ("risk", "too low"))


def test_thing_place_and_remedy_are_the_services_own(client: Client) -> None:
    with pytest.raises(errors.NotFound) as caught:
        client.model("nonesuch")
    assert str(caught.value) == "version: no model 'nonesuch'; list the models [MODEL_UNKNOWN]"


def test_when_to_try_again_is_told(client: Client, peer: Any) -> None:
    retry = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=2, nanos=500_000_000))
    peer.refuse(code_pb2.RESOURCE_EXHAUSTED, retry, text="too many calls")
    with pytest.raises(errors.TooMuch, match=r"too many calls.*try again in 2.5 s") as caught:
        client.models()
    assert caught.value.retry_after == 2.5
