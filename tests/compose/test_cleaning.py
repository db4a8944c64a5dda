"""What `make clean` and `make clean-all` remove, and what they leave alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stacks import JOB, Stack, docker

pytestmark = [pytest.mark.compose, pytest.mark.timeout(900)]

COPY = "cp -a /from/models/. /to/models && cp -a /from/kernels/. /to/kernels"
BASE = "python:3.11-slim-bookworm"
"""What the images are built on: it has a shell."""


@pytest.fixture
def own(stack: Stack, new_stack: Callable[[str], Stack]) -> Stack:
    """Return a project of its own with the model of the other."""
    own = new_stack("rtpclean")
    made = own.compose("up", "--no-start", "--no-build", "api")
    assert made.returncode == 0, made.stderr
    volumes = [
        word
        for name in ("models", "kernels")
        for word in ("-v", f"{stack.name}_{name}:/from/{name}:ro", "-v", f"{own.name}_{name}:/to/{name}")
    ]
    docker("run", "--rm", *volumes, BASE, "sh", "-c", COPY)
    return own


def test_clean_and_clean_all_remove_what_they_say_and_nothing_else(own: Stack, stack: Stack) -> None:
    foreign_volume = docker("volume", "create", f"{own.name}-foreign")
    foreign = docker("run", "-d", "-v", f"{foreign_volume}:/kept", BASE, "sleep", "600")
    keep = own.folder / "models" / "mine.txt"
    keep.parent.mkdir()
    keep.write_text("a folder of local processes is not Compose's", encoding="utf-8")
    try:
        own.made("start")
        own.made("clean")
        assert own.containers() == []
        assert own.volumes() >= {"models", "history"}
        own.made("start")
        with own.client() as client:
            assert client.predict({**JOB, "user": "nobody-yet"}).median_seconds > 0
        # the images are shared with the stack of the other tests
        own.made("clean-all", RT_PREDICTOR_TAG="no-such-tag")
        assert own.containers() == []
        assert own.volumes() == set()
        assert docker("inspect", "-f", "{{.State.Running}}", foreign) == "true"
        assert foreign_volume in docker("volume", "ls", "-q").split()
        assert stack.container("api")
        assert keep.exists()
    finally:
        docker("rm", "-fv", foreign)
        docker("volume", "rm", "-f", foreign_volume)
