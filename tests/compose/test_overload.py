"""nginx in the API's container: what is too much is refused there, and it comes, goes and returns with the service."""

from __future__ import annotations

import subprocess

import pytest

from rt_predictor_client import Unreachable
from stacks import (
    JOB,
    TAG,
    Flood,
    Stack,
    connection,
    docker,
    eventually,
    flooded,
    inside,
    is_ready,
    load,
    processes,
)

REFUSED = 'rtpredictor_calls_refused_total{reason="overloaded"}'

pytestmark = [pytest.mark.compose, pytest.mark.timeout(900)]


def test_a_flood_is_answered_or_refused_with_a_hint(stack: Stack) -> None:
    seen = Flood()
    with connection(stack.port) as channel:
        eventually(lambda: flooded(channel, seen), lambda so_far: so_far.refused and so_far.answered)
        assert seen.others == []
        # nginx tells of some of its refusals
        eventually(lambda: flooded(channel, seen) and stack.metrics()[REFUSED])
        assert seen.others == []
        eventually(lambda: flooded(channel, Flood(), 20), lambda after: after.answered == 20)
    with stack.client() as client:
        assert client.predict(JOB).median_seconds > 0


def test_nginx_that_dies_is_back_and_the_container_stays(stack: Stack) -> None:
    api = stack.container("api")
    before = docker("inspect", "-f", "{{.RestartCount}} {{.State.StartedAt}}", api)
    restarts = stack.metrics()["rtpredictor_worker_restarts_total"]
    killed = processes(api, "nginx")
    assert len(killed) == 2, "one that leads, one that works"
    # the first has started the other, which must not stay behind
    inside(api, f"import os; os.kill({min(killed)}, 9)")
    eventually(lambda: stack.metrics()["rtpredictor_worker_restarts_total"], lambda seen: seen > restarts)
    eventually(lambda: processes(api, "nginx"), lambda seen: len(seen) == 2 and not set(seen) & set(killed))
    with stack.client() as client:
        assert client.predict(JOB).median_seconds > 0
    assert docker("inspect", "-f", "{{.RestartCount}} {{.State.StartedAt}}", api) == before


def test_an_api_that_is_stopped_under_load_ends_well_and_answers_again(stack: Stack) -> None:
    api = stack.container("api")
    with stack.client() as client:
        with load(lambda number: client.predict({**JOB, "user": f"user{number}"}), threads=4) as calls:
            docker("stop", "-t", "40", api)
            assert docker("inspect", "-f", "{{.State.ExitCode}}", api) == "0"
            docker("start", api)
            eventually(lambda: is_ready(api))
            answered = calls.answered
            eventually(lambda: calls.answered, lambda seen: seen > answered + 20)
        # sent again until the client gave up; what was cut off would not be
        assert all(isinstance(error, Unreachable) for error in calls.failed), calls.failed


def test_a_site_may_do_without(stack: Stack) -> None:
    stack.made("start", RT_PREDICTOR_NGINX="false")
    try:
        assert processes(stack.container("api"), "nginx") == []
        with stack.client() as client:
            assert client.predict(JOB).median_seconds > 0
    finally:
        stack.made("start")
    assert processes(stack.container("api"), "nginx")


def test_certificates_of_clients_are_refused_in_one_line() -> None:
    command = ["docker", "run", "--rm", "-e", "RT_PREDICTOR_TLS_CLIENT_CA=/ca.pem", f"rt-predictor-api:{TAG}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 78
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: RT_PREDICTOR_NGINX: ")
    assert "RT_PREDICTOR_TLS_CLIENT_CA" in line
