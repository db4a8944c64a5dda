"""nginx in the API's container, where a site wants it: refuses what is too much, comes and goes with the API."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from rt_predictor_formats.errors import Problem
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


@pytest.fixture(scope="module")
def fronted(stack: Stack) -> Iterator[Stack]:
    """Return the stack with nginx before its API."""
    assert processes(stack.container("api"), "nginx") == []
    stack.made("start", RT_PREDICTOR_NGINX="true")
    yield stack
    stack.made("start")


def test_a_flood_is_answered_or_refused_with_a_hint(fronted: Stack) -> None:
    seen = Flood()
    with connection(fronted.port) as channel:
        eventually(lambda: flooded(channel, seen), lambda so_far: so_far.refused and so_far.answered)
        assert seen.others == []
        # nginx tells of some of its refusals
        eventually(lambda: flooded(channel, seen) and fronted.metrics()[REFUSED])
        assert seen.others == []
        eventually(lambda: flooded(channel, Flood(), 20), lambda after: after.answered == 20)
    with fronted.client() as client:
        assert client.predict(JOB).median_seconds > 0


def test_nginx_that_dies_is_back_and_the_container_stays(fronted: Stack) -> None:
    api = fronted.container("api")
    before = docker("inspect", "-f", "{{.RestartCount}} {{.State.StartedAt}}", api)
    restarts = fronted.metrics()["rtpredictor_worker_restarts_total"]
    killed = processes(api, "nginx")
    assert len(killed) == 2, "one that leads, one that works"
    # the first has started the other, which must not stay behind
    inside(api, f"import os; os.kill({min(killed)}, 9)")
    eventually(lambda: fronted.metrics()["rtpredictor_worker_restarts_total"], lambda seen: seen > restarts)
    eventually(lambda: processes(api, "nginx"), lambda seen: len(seen) == 2 and not set(seen) & set(killed))
    with fronted.client() as client:
        assert client.predict(JOB).median_seconds > 0
    assert docker("inspect", "-f", "{{.RestartCount}} {{.State.StartedAt}}", api) == before


def test_an_api_that_is_stopped_under_load_ends_well_and_answers_again(fronted: Stack) -> None:
    api = fronted.container("api")
    with fronted.client() as client:
        with load(lambda number: client.predict({**JOB, "user": f"user{number}"}), threads=4) as calls:
            docker("stop", "-t", "40", api)
            assert docker("inspect", "-f", "{{.State.ExitCode}}", api) == "0"
            docker("start", api)
            eventually(lambda: is_ready(api))
            answered = calls.answered
            eventually(lambda: calls.answered, lambda seen: seen > answered + 20)
        assert all(isinstance(error, Problem) for error in calls.failed), calls.failed


def test_certificates_of_clients_are_refused_in_one_line() -> None:
    given = [f"-e=RT_PREDICTOR_{setting}" for setting in ("NGINX=true", "TLS_CLIENT_CA=/ca.pem")]
    command = ["docker", "run", "--rm", *given, f"rt-predictor-api:{TAG}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 78
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: RT_PREDICTOR_NGINX: ")
    assert "RT_PREDICTOR_TLS_CLIENT_CA" in line
