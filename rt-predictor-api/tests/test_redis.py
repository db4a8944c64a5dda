"""Several services that share a journal in a real Redis, which goes away, comes back, and is killed."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from rt_predictor_api.stores.redis import STREAM, TRY_AFTER_SECONDS, RedisJournal
from rt_predictor_core.history.events import Event
from rt_predictor_formats.errors import Problem
from rtpredictor.v1 import forecast_pb2
from rtpredictor.v1.prediction_service_pb2 import PredictBatchRequest, PredictRequest

STALE = forecast_pb2.DEGRADED_REASON_HISTORY_UNAVAILABLE


def forecast(client: Any, job: Any) -> Any:
    return client.prediction.Predict(PredictRequest(job=job())).forecast


def test_what_one_service_is_told_the_other_knows_soon(
    served: Any, redis_server: Any, tmp_path: Path, job: Any, event: Any, until: Callable[..., Any]
) -> None:
    redis_server.clear()
    with served(redis_url=redis_server.url) as one, served(redis_url=redis_server.url, history=tmp_path / "b") as other:
        for number in range(6):
            sender, receiver = (one, other) if number % 2 else (other, one)
            assert sender.report(event(number, run_time=7_000)).accepted == 1
            assert forecast(sender, job).history_jobs == number + 1, "whoever was told knows at once"
            until(lambda n=number, r=receiver: forecast(r, job).history_jobs == n + 1, "the other to know")
        assert forecast(one, job) == forecast(other, job), "calibration included"
        assert one.report(event(0), event(1)).duplicates == 2
        known = forecast(one, job)
    with served(redis_url=redis_server.url, history=tmp_path / "c") as third:
        assert forecast(third, job) == known


def test_without_redis_forecasts_go_on_and_say_so_and_with_it_all_is_well_again(
    served: Any, redis_server: Any, job: Any, event: Any, refusal: Any, until: Callable[..., Any]
) -> None:
    redis_server.clear()
    with served(redis_url=redis_server.url, redis_seconds=0.3) as client:
        client.report(event(1), event(2))
        known = forecast(client, job)
        assert known.degraded == forecast_pb2.DEGRADED_REASON_UNSPECIFIED
        redis_server.kill()
        until(lambda: forecast(client, job).degraded == STALE, "the loss to be noticed")
        stale = forecast(client, job)
        stale.degraded = known.degraded
        assert stale == known, "what was known is still known"
        rows = client.prediction.PredictBatch(PredictBatchRequest(jobs=[job(), job(wallclock_req=None)])).results
        assert [row.forecast.degraded for row in rows] == [STALE, STALE]
        assert client.value('rtpredictor_degraded_forecasts_total{reason="history_unavailable"}') > 2
        refused, took = [], []
        for _ in range(10):
            begin = time.monotonic()
            refused.append(refusal(lambda: client.report(event(3))))
            took.append(time.monotonic() - begin)
        assert {(one.code, one.reason) for one in refused} == {("UNAVAILABLE", "HISTORY_UNAVAILABLE")}
        assert min(took[5:]) < 0.25, "the breaker is open: no call waits for the server"
        redis_server.start()
        until(lambda: forecast(client, job).degraded != STALE, "the return to be noticed")
        assert forecast(client, job) == known
        time.sleep(TRY_AFTER_SECONDS)
        assert client.report(event(3)).accepted == 1
        assert forecast(client, job).history_jobs == 3


@pytest.mark.parametrize("entry", [b"", b"[" * 99_999, b"{}", b"[1, 2]", b"null", b"\xff"])
def test_an_entry_that_no_service_wrote_is_damage_that_is_named(redis_server: Any, entry: bytes) -> None:
    redis_server.clear()
    with closing(RedisJournal(redis_server.url, 5.0)) as journal:
        redis_server.command("xadd", STREAM, "7-1", "entry", entry)
        with pytest.raises(Problem, match="entry 7") as caught:
            list(journal.replay())
        assert caught.value.code == "HISTORY_CORRUPT"
        assert f"delete the entry 7-1 of {STREAM}" in caught.value.remedy


def test_a_service_that_starts_without_redis_answers_from_its_snapshot_and_learns_the_rest_later(
    served: Any, redis_server: Any, job: Any, event: Any, until: Callable[..., Any]
) -> None:
    redis_server.clear()
    with served(redis_url=redis_server.url) as client:
        client.report(event(1))
        known = forecast(client, job)
    redis_server.kill()
    with served(redis_url=redis_server.url, redis_seconds=0.3) as client:
        assert (forecast(client, job).history_jobs, forecast(client, job).degraded) == (0, STALE)
        redis_server.start()
        until(lambda: forecast(client, job) == known, "the reported jobs")


def test_a_server_that_may_lose_what_it_acknowledges_is_refused_unless_trusted(
    served: Any, redis_server: Any, event: Any, refusal: Any
) -> None:
    redis_server.clear()
    redis_server.command("config", "set", "appendfsync", "everysec")
    try:
        with served(redis_url=redis_server.url) as client:
            refused = refusal(lambda: client.report(event(1)))
            assert (refused.code, refused.reason) == ("UNAVAILABLE", "HISTORY_NOT_DURABLE")
        with served(redis_url=redis_server.url, redis_trusted=True) as client:
            assert client.report(event(1)).accepted == 1
    finally:
        redis_server.command("config", "set", "appendfsync", "always")


def appended(journal: RedisJournal, number: int) -> int:
    """Append events until that fails and return the number of the first that was not acknowledged."""
    with suppress(Problem):
        while True:
            journal.append([Event("", str(number), number, number, number + 1, None, {"user": "ada"})])
            number += 1
    return number


def test_kills_of_the_server_lose_no_acknowledged_event(redis_server: Any) -> None:
    redis_server.clear()
    luck = random.Random(7)  # noqa: S311 # not for secrets
    number = 0
    for _ in range(10):
        journal = RedisJournal(redis_server.url, 0.5)
        killer = Thread(target=lambda: (time.sleep(luck.uniform(0.02, 0.2)), redis_server.kill()))
        killer.start()
        number = appended(journal, number)
        killer.join()
        journal.close()
        redis_server.start()
        journal = RedisJournal(redis_server.url, 5.0)
        stored = [int(entry.event.job_id) for entry in journal.replay()]
        journal.close()
        assert stored in (list(range(number)), list(range(number + 1))), "events are lost, doubled or out of order"
        number = len(stored)
    assert number > 50


def test_an_entry_that_is_not_ours_is_named(redis_server: Any) -> None:
    redis_server.clear()
    journal = RedisJournal(redis_server.url, 5.0)
    journal.append([Event("", "1", 1, 2, 3, None, {})])
    redis_server.command("xadd", STREAM, "9-1", "entry", "{}")
    with pytest.raises(Problem) as caught:
        list(journal.replay())
    journal.close()
    assert caught.value.code == "HISTORY_CORRUPT"
    assert "entry 9" in str(caught.value)
