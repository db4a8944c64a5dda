"""Serving: every reply's status is read, what cannot run says so, and each case runs on a small model."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from made_once import made_once

import flooding
from flooding import flood, go
from load import GOOD, REFUSED, Heard, Load, encoded, send
from ours import train
from rt_predictor_core.sources.synthetic import write_parquet
from rtpredictor.v1 import prediction_service_pb2 as messages
from serving import measure, text
from serving_cases import CASES, CUT, Setting, _recovery, row
from serving_jobs import Asked

needs_go = pytest.mark.skipif(go() is None, reason="needs Go, which builds the load")

METHOD = "/test.Echo/Call"


class _Echo(grpc.GenericRpcHandler):
    """Answers with what it got; what begins with an x is refused with that status."""

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        def answer(message: bytes, context: grpc.ServicerContext) -> bytes:
            if message.startswith(b"x"):
                context.abort(grpc.StatusCode[message[1:].decode()], "no")
            return message

        return grpc.unary_unary_rpc_method_handler(answer) if details.method == METHOD else None


@contextmanager
def echo() -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(4), handlers=[_Echo()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None)


def test_callers_wait_for_their_replies_and_all_are_counted() -> None:
    with echo() as address:
        heard = send(Load(address, METHOD, encoded(b"a", b"b"), in_flight=2, seconds=0.3))
    assert set(heard.calls) == {"OK"}
    assert heard.calls["OK"] == len(heard.took) == round(heard.per_second * heard.seconds) > 2
    assert 0.0 < heard.ms(50) <= heard.ms(99)


def test_at_a_rate_as_many_calls_are_sent_as_were_asked_for() -> None:
    with echo() as address:
        heard = send(Load(address, METHOD, encoded(b"a"), seconds=0.5, rate=100.0), processes=2)
    assert heard.calls == {"OK": 50}


def test_a_refusal_is_counted_and_takes_no_time_of_a_good_call() -> None:
    with echo() as address:
        heard = send(Load(address, METHOD, encoded(b"a", b"xRESOURCE_EXHAUSTED"), seconds=0.5, rate=100.0))
    assert (heard.share(REFUSED), len(heard.took)) == (0.5, 25)


@needs_go
def test_a_flood_counts_and_times_as_the_other_load_does(tmp_path: Path) -> None:
    good_and_bad = encoded(b"a", b"xRESOURCE_EXHAUSTED", b"xCANCELLED", b"b")
    with echo() as address:
        heard = flood(Load(address, METHOD, good_and_bad, seconds=0.5, rate=100.0), tmp_path, (GOOD, REFUSED, CUT))
        callers = flood(Load(address, METHOD, encoded(b"a"), in_flight=3, seconds=0.3), tmp_path)
        with pytest.raises(SystemExit, match="CANCELLED"):
            flood(Load(address, METHOD, good_and_bad, seconds=0.1, rate=100.0), tmp_path)
    assert heard.calls == {"OK": 25, "RESOURCE_EXHAUSTED": 13, "CANCELLED": 12}
    assert len(heard.took) == len(heard.sent) == 25
    assert 0.45 < max(heard.sent) - min(heard.sent) < 0.5
    assert set(callers.calls) == {"OK"}
    assert callers.calls["OK"] == len(callers.took) > 3


def test_without_go_a_flood_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flooding, "_GO", ("no-such-command",))
    with pytest.raises(SystemExit, match="go: not found"):
        flood(Load("", METHOD, []), tmp_path)


def test_any_other_status_ends_the_run() -> None:
    with echo() as address, pytest.raises(SystemExit, match="INTERNAL"):
        send(Load(address, METHOD, encoded(b"a", b"xINTERNAL"), seconds=0.2))


def test_the_service_has_recovered_with_the_first_ten_usual_calls_in_a_row() -> None:
    begin = time.time()
    took = [0.05] * 5 + [0.001] * 3 + [0.05] + [0.001] * 30
    after = Heard(sent=(begin + 0.1 * np.arange(len(took))).tolist(), took=took)
    assert _recovery(after, begin, usual=2.0) == pytest.approx(0.9)
    assert np.isnan(_recovery(Heard(sent=[begin], took=[0.1]), begin, usual=2.0))


def test_a_row_without_a_peer_has_no_ratio() -> None:
    assert row("a", "b", 2.0)["ratio"] is None
    assert row("a", "b", 2.0, "c", 4.0)["ratio"] == 0.5


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    """A small model, and the jobs to ask it about."""

    def make(folder: Path) -> None:
        folder.mkdir()
        write_parquet(folder / "log.parquet", 1500, 3)
        train(folder / "log.parquet", "quick", folder, "models")

    made, work = made_once(tmp_path_factory, "serving", make), tmp_path_factory.mktemp("serving-work")
    return Setting(Asked.of(made / "log.parquet", made / "models", 60), made / "models", work, 0.2, 1)


def test_jobs_as_messages_and_as_arrow_are_the_same_jobs(setting: Setting) -> None:
    one = messages.PredictRequest.FromString(setting.asked.one_by_one()[7]).job
    row_of = setting.asked.jobs.slice(7, 1).to_pylist()[0]
    assert (one.user, one.wallclock_req) == (row_of["user"], row_of["wallclock_req"])
    assert one.submit_time.seconds == int(row_of["submit_time"].timestamp())
    assert len(setting.asked.in_chunks(25)) == 3
    assert setting.asked.table().shape[0] == 60


@pytest.mark.timeout(280)
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=needs_go if name in {"unary", "workers", "overload"} else ())
        for name in CASES
        if name != "peer"
    ],
)
def test_a_case_measures_both_sides(setting: Setting, name: str) -> None:
    rows = measure(setting, [name])
    assert rows
    for one in rows:
        assert "skipped" not in one["what"], one
    assert text({"profile": "quick", "rows": 60, "rounds": 1, "seconds": 0.2, "table": rows}).count("\n") >= 4


def test_without_a_registry_the_peer_is_skipped_loudly(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    (one,) = measure(setting, ["peer"])
    assert one["what"].startswith("skipped: ")
    assert "SKIPPED peer" in capsys.readouterr().out
