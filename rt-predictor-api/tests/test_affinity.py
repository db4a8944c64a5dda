"""Which cores threads run on."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from threading import enumerate as enumerate_threads
from typing import Any

import pytest

from rt_predictor_api.affinity import Cores
from rtpredictor.v1.prediction_service_pb2 import PredictRequest

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="needs a system that tells cores, and two of them",
)


def test_threads_that_are_started_meanwhile_keep_to_the_core_and_may_leave_it() -> None:
    everywhere, cores = os.sched_getaffinity(0), Cores(kept=True)
    with ThreadPoolExecutor(1) as pool:
        with cores.keeping():
            assert pool.submit(os.sched_getaffinity, 0).result() == {cores.one} == os.sched_getaffinity(0)
        assert os.sched_getaffinity(0) == everywhere

        def long_work() -> Any:
            with cores.leaving():
                return os.sched_getaffinity(0)

        assert pool.submit(long_work).result() == everywhere
        assert pool.submit(os.sched_getaffinity, 0).result() == {cores.one}


def test_processes_that_share_a_port_take_different_cores() -> None:
    everywhere = sorted(os.sched_getaffinity(0))
    taken = [Cores(kept=True, place=1_000 + number).one for number in range(len(everywhere))]
    assert sorted(core for core in taken if core is not None) == everywhere


def test_a_core_that_is_taken_away_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    cores = Cores(kept=True)
    before = os.sched_getaffinity(0)
    monkeypatch.setattr(cores, "one", 1_023)
    with cores.keeping():
        assert os.sched_getaffinity(0) == before


@pytest.mark.parametrize("kept", [True, False])
def test_calls_are_answered_on_one_core_unless_told_otherwise(
    served: Any,
    job: Any,
    until: Any,
    kept: bool,  # noqa: FBT001 - a case
) -> None:
    everywhere, others = os.sched_getaffinity(0), set(enumerate_threads())
    with served(one_core=kept) as client:
        assert client.prediction.Predict(PredictRequest(job=job())).forecast.median_seconds > 0
        # it says that it is ready before the last of them begin
        until(lambda: {"watch", "guard"} <= {one.name for one in set(enumerate_threads()) - others}, "its threads")
        on = {
            thread.name: os.sched_getaffinity(thread.native_id or 0)
            for thread in set(enumerate_threads()) - others
            if thread.name.startswith("call") or thread.name in {"watch", "guard"} or "_serve" in thread.name
        }
        one = {client.service._cores.one} if kept else everywhere
        assert all(cores == (everywhere if name in {"watch", "guard"} else one) for name, cores in on.items())
        assert len(on) >= 4
