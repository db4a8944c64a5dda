"""What breaks: a process that is killed, a disk that is full. What was acknowledged is known afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from rt_predictor_client import Client, Unreachable
from rt_predictor_formats.errors import Problem
from stacks import JOB, KILL, TAG, Stack, docker, ended, eventually, inside, is_ready, load, logged

pytestmark = [pytest.mark.compose, pytest.mark.timeout(900)]

FILL = """
with open("/history/fill", "wb", buffering=0) as file:
    try:
        while file.write(bytes(1024)):
            pass
    except OSError as error:
        print(error)
"""


def test_what_was_acknowledged_outlives_a_killed_api(stack: Stack) -> None:
    acknowledged: list[dict[str, Any]] = []
    api = stack.container("api")
    restarts = int(docker("inspect", "-f", "{{.RestartCount}}", api))
    with stack.client() as client:

        def report(number: int) -> None:
            event = ended(f"killed{number}", "grace")
            assert client.report([event]).rejected_total == 0
            acknowledged.append(event)

        with load(report) as reports:
            inside(api, KILL)
            eventually(lambda: int(docker("inspect", "-f", "{{.RestartCount}}", api)), lambda seen: seen > restarts)
            before = len(acknowledged)
            eventually(lambda: len(acknowledged), lambda seen: seen > before + 20)
        assert all(isinstance(error, Problem) for error in reports.failed), reports.failed
        again = client.report(acknowledged)
    assert (again.accepted, again.duplicates) == (0, len(acknowledged))


@pytest.fixture
def small(stack: Stack) -> Iterator[tuple[str, Client]]:
    """Return the container of an API whose history is on a disk of a megabyte, and a client of it."""
    volume = docker(
        "volume",
        "create",
        "-d",
        "local",
        *("-o", "type=tmpfs"),
        *("-o", "device=tmpfs"),
        *("-o", "o=size=1m,uid=10001"),
    )
    mounts = [f"{stack.name}_models:/models:ro", f"{stack.name}_kernels:/var/cache/numba", f"{volume}:/history"]
    options = ["--read-only", "--tmpfs", "/tmp", "-p", "127.0.0.1::50051", "-e", "RT_PREDICTOR_ALLOW_INSECURE=true"]  # noqa: S108
    volumes = [word for mount in mounts for word in ("-v", mount)]
    container = docker("run", "-d", *options, *volumes, f"rt-predictor-api:{TAG}")
    try:
        eventually(lambda: is_ready(container))
        address = docker("port", container, "50051").splitlines()[0]
        with Client(address, timeout_seconds=60, breaker=None) as client:
            yield container, client
    finally:
        docker("rm", "-f", container)
        docker("volume", "rm", volume)


def test_a_full_disk_refuses_reports_and_spoils_nothing(small: tuple[str, Client]) -> None:
    container, client = small
    events = [ended(f"full{number}", f"user{number % 7}") for number in range(3_000)]
    parts = [events[begin : begin + 100] for begin in range(0, len(events), 100)]
    assert client.report(parts[0]).accepted == 100
    inside(container, FILL)
    kept = list(parts[0])
    refusal = None
    for part in parts[1:]:
        try:
            client.report(part)
        except Unreachable as error:
            refusal = error
            break
        kept += part
    assert refusal
    assert refusal.code == "HISTORY_NOT_WRITABLE"
    assert "full" in logged(container), "who called is told no more than the code"
    assert client.predict({**JOB, "user": "user1"}).degraded is None
    inside(container, "import os; os.remove('/history/fill')")
    look = "import sqlite3; print(*sqlite3.connect('/history/journal.sqlite3').execute('PRAGMA integrity_check'))"
    assert "ok" in inside(container, look)
    assert client.report(kept).duplicates == len(kept)
    assert client.report([ended("afterwards")]).accepted == 1
