"""A small share of ``make fuzz``: each target with few inputs, and every way to wear the server out."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import frames
import fuzz
import grpc
import psutil
import pytest
import seeds
import service
import small_model
from targets import TARGETS, Target

from rt_predictor_api.front import nginx

NO_NGINX = "no nginx here: install Debian's package nginx-light"

SECONDS = 60.0
"""How long anything may take on a machine that does much else [s]."""


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_no_input_is_more_than_refused(target: Target, tmp_path: Path) -> None:
    if target.name == "redis" and shutil.which("redis-server") is None:
        pytest.skip("no redis-server here: install Debian's package redis-server")
    if target.name.startswith("nginx") and nginx.program() is None:
        pytest.skip(NO_NGINX)
    progress = tmp_path / "progress"
    progress.write_bytes(bytes(8))
    total = fuzz.take(target.name, 1, range(target.few), progress)
    assert total["found"] == []
    assert sum(total["outcomes"].values()) == target.few
    # inputs that are all refused at the door would prove little
    assert total["outcomes"]["answered"] > 0


def test_an_answer_is_seen_among_compressed_headers() -> None:
    trailers = frames.HeadersFrame(1, frames.Encoder().encode([("grpc-status", "0")]), flags=["END_HEADERS"])
    sent = [frames.SettingsFrame(0), frames.headers("/a"), frames.DataFrame(1, b"x"), trailers]
    told = b"".join(frame.serialize() for frame in sent)
    assert b"grpc-status" not in told
    assert [*frames.header_names(told)][-1] == "grpc-status"
    assert [*frames.header_names(told[:-1])] == [*frames.header_names(told)][:-1]


@pytest.mark.skipif(nginx.program() is None, reason=NO_NGINX)
def test_a_long_refusal_passes_nginx(tmp_path: Path) -> None:
    method = "/inference.GRPCInferenceService/ModelInfer"
    request = type(seeds.of_calls()[method][-1])()
    request.CopyFrom(seeds.of_calls()[method][-1])
    del request.inputs[:]
    for number in range(60):
        request.inputs.add(name=f"odd{number}" + "x" * 100, datatype="FP32", shape=[1, 1])
    with (
        service.running(tmp_path, nginx=True) as running,
        grpc.insecure_channel(f"127.0.0.1:{running.port}") as channel,
    ):
        asked = channel.unary_unary(method)
        with pytest.raises(grpc.RpcError) as caught:
            asked(request.SerializeToString(), timeout=SECONDS)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert sum(len(value) for _, value in caught.value.trailing_metadata()) > 4_000, "more than a page of nginx's"


def test_a_process_that_an_input_ends_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(fuzz.DIES_AT, "3")
    total = fuzz.watch("forecasts", 1, range(5), plain=True)
    assert [one.partition(":")[0] for one in total["found"]] == ["3"]
    assert sum(total["outcomes"].values()) == 4


# connections between nginx and the workers are kept until a worker asks whether they are needed
@pytest.fixture(
    scope="module",
    params=[{}, {"RT_PREDICTOR_NGINX": "true", "RT_PREDICTOR_KEEPALIVE_SECONDS": "1"}],
    ids=["alone", "nginx"],
)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[int, psutil.Process]]:
    """The service as a process, with nginx before it and without: its port, and what it takes."""
    if request.param and nginx.program() is None:
        pytest.skip(NO_NGINX)
    folder = tmp_path_factory.mktemp("worn")
    small_model.publish_small(folder / "models")
    options = {"models": folder / "models", "history": folder / "history", "port": 0, "metrics-port": 0}
    words = [sys.executable, "-m", "rt_predictor_api", *(f"--{name}={value}" for name, value in options.items())]
    log = folder / "log"
    with log.open("wb") as stderr:
        process = subprocess.Popen(words, env={**os.environ, **request.param}, stderr=stderr)
    try:
        yield eventually(lambda: listening(log), 4 * SECONDS), psutil.Process(process.pid)
    finally:
        process.terminate()
        assert process.wait(SECONDS) == 0


def listening(log: Path) -> int:
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return next((int(line["port"]) for line in lines if line["event"] == "listening"), 0)


def eventually(holds: Callable[[], int], seconds: float = SECONDS) -> int:
    """Poll until something is true, and return it."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


def answers(port: int) -> bool:
    """Return whether a client that is new to the server gets an answer within a second."""
    with grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.use_local_subchannel_pool", 1)]) as channel:
        good = seeds.of_calls()[frames.PREDICT][0].SerializeToString()
        try:
            return bool(channel.unary_unary(frames.PREDICT)(good, timeout=1.0))
        except grpc.RpcError:
            return False


def taken(process: psutil.Process) -> tuple[int, int]:
    """Return the open files and the memory [bytes] of the service, nginx included."""
    all_ = [process, *process.children(recursive=True)]
    return sum(one.num_fds() for one in all_), sum(one.memory_info().rss for one in all_)


@pytest.mark.parametrize("attack", frames.ATTACKS)
def test_others_are_answered_meanwhile_and_nothing_is_left(server: tuple[int, psutil.Process], attack: str) -> None:
    port, process = server
    eventually(lambda: answers(port))
    files, memory = taken(process)
    with ExitStack() as opened:
        frames.ATTACKS[attack](port, opened)
        eventually(lambda: answers(port))
    eventually(lambda: taken(process)[0] <= files + 2)
    assert taken(process)[1] - memory < 256 << 20
    eventually(lambda: answers(port))
