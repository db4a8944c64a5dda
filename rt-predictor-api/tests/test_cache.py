"""The cache of forecasts: made once, bounded, and never heard of in an answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Barrier, Event
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rt_predictor_api import metrics
from rt_predictor_api.affinity import Cores
from rt_predictor_api.cache import AnswerCache, ForecastCache
from rt_predictor_api.engine import Engine
from rt_predictor_api.live import LiveScores
from rt_predictor_api.metrics import Metrics
from rt_predictor_api.services.prediction import PredictionService
from rt_predictor_api.settings import read
from rt_predictor_api.stores.remembered import Remembered
from rt_predictor_core.artifact.load import Artifact, load
from rt_predictor_core.history.events import Event as JobEvent
from rt_predictor_core.history.journal import Journal
from rt_predictor_core.models.conformal import Calibration
from rt_predictor_core.models.forecast import Forecasts
from rtpredictor.v1.prediction_service_pb2 import PredictRequest

THREADS = 8
USERS = ("ada", "bob")


@pytest.fixture(scope="module")
def artifacts(trained: Path, newer: Path) -> tuple[Artifact, Artifact]:
    return load(trained), load(newer)


def counted(cache_of: Metrics) -> tuple[float, float]:
    name = metrics.FORECAST_CACHE.name
    hits, misses = (cache_of.registry.get_sample_value(name, {"outcome": outcome}) for outcome in ("hit", "miss"))
    return hits or 0.0, misses or 0.0


def some() -> Forecasts:
    none = np.zeros(1)
    return Forecasts(none, none[None], none, none, none, none, none[None], none[None], none, none)


def test_equal_calls_at_the_same_time_make_one_forecast(until: Callable[..., Any]) -> None:
    told, made, all_wait, asked = Metrics(), [], Barrier(THREADS), Event()
    cache = ForecastCache(10, told)
    keys: list[int] = []

    def make() -> Forecasts:
        made.append(some())
        assert asked.wait(30)
        return made[-1]

    def key() -> str:
        keys.append(1)
        return "same"

    def ask() -> Forecasts:
        all_wait.wait(30)
        return cache.get(key, make)

    with ThreadPoolExecutor(THREADS) as pool:
        answers = [pool.submit(ask) for _ in range(THREADS)]
        until(lambda: len(keys) == THREADS and made, "every thread to ask")
        asked.set()
        assert {id(answer.result(30)) for answer in answers} == {id(made[0])}
    assert len(made) == 1
    assert counted(told) == (THREADS - 1, 1)


def test_different_calls_do_not_wait_for_each_other() -> None:
    cache, met = ForecastCache(10, Metrics()), Barrier(2)

    def make() -> Forecasts:
        met.wait(30)
        return some()

    with ThreadPoolExecutor(2) as pool:
        for answer in [pool.submit(cache.get, lambda number=number: number, make) for number in range(2)]:
            answer.result(30)


def test_a_forecast_that_fails_is_not_kept() -> None:
    told = Metrics()
    cache, good = ForecastCache(10, told), some()

    def fail() -> Forecasts:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        cache.get(lambda: "key", fail)
    assert cache.get(lambda: "key", lambda: good) is good
    assert counted(told) == (0, 1)


def test_what_was_not_asked_for_the_longest_makes_room() -> None:
    told = Metrics()
    cache = ForecastCache(2, told)
    for key in ("a", "b", "a", "c", "a", "b"):
        cache.get(lambda key=key: key, some)  # type: ignore[misc]
    assert counted(told) == (2, 4)


def test_without_entries_nothing_is_kept_or_counted() -> None:
    told = Metrics()
    cache = ForecastCache(0, told)
    assert cache.get(lambda: "key", some) is not cache.get(lambda: "key", some)
    assert counted(told) == (0, 0)


def test_an_answer_is_given_again_until_something_changes() -> None:
    told, epoch = Metrics(), [1]
    cache = AnswerCache[str](10, told, lambda: epoch[0])
    assert cache.find("question") is None
    assert cache.make("question", lambda: "first") == cache.find("question") == "first"
    assert cache.find("another") is None
    epoch[0] = 2
    assert cache.find("question") is None
    assert cache.make("question", lambda: "second") == cache.find("question") == "second"
    assert counted(told) == (2, 0)


@pytest.mark.parametrize("after", [2, None])
def test_what_changes_while_an_answer_is_made_keeps_it_from_being_given_again(after: int | None) -> None:
    epoch: list[int | None] = [1]
    cache = AnswerCache[str](10, Metrics(), lambda: epoch[0])

    def make() -> str:
        epoch[0] = after
        return "of before or after"

    assert cache.make("question", make) == "of before or after"
    assert cache.find("question") is None
    epoch[0] = 1
    assert cache.find("question") is None


def test_while_it_is_unknown_what_answers_follow_from_none_is_kept() -> None:
    cache = AnswerCache[str](10, Metrics(), lambda: None)
    assert cache.make("question", lambda: "stale") == "stale"
    assert cache.find("question") is None


def test_the_answers_that_were_not_asked_for_the_longest_make_room() -> None:
    cache = AnswerCache[str](2, Metrics(), lambda: 1)
    for question in ("a", "b"):
        cache.make(question, lambda question=question: question)  # type: ignore[misc]
    assert cache.find("a") == "a"
    cache.make("c", lambda: "c")
    assert [cache.find(question) for question in ("a", "b", "c")] == ["a", None, "c"]
    none = AnswerCache[str](0, Metrics(), lambda: 1)
    assert none.make("a", lambda: "a") == "a"
    assert none.find("a") is None


def test_a_job_that_is_submitted_now_is_asked_anew_when_time_has_passed(
    artifacts: tuple[Artifact, Artifact], job: Callable[..., Any], tmp_path: Path
) -> None:
    with answering(tmp_path, 100) as one:
        one.engine.adopt(fresh(artifacts[0]))
        asked = job(user="ada")
        asked.ClearField("submit_time")
        for now, hits in ((1_700_000_000.2, 0), (1_700_000_000.8, 1), (1_700_050_000.0, 1), (1_700_050_000.5, 2)):
            one.service._clock = lambda now=now: now  # type: ignore[misc]
            one.service.Predict(PredictRequest(job=asked), None)
            assert counted(one.service._metrics)[0] == hits


def test_an_equal_question_is_a_hit_until_something_is_reported(served: Any, job: Any, event: Any) -> None:
    with served() as client:

        def ask() -> tuple[bytes, float, float]:
            forecast = client.prediction.Predict(PredictRequest(job=job())).forecast
            hits, misses = (client.value(f'{metrics.FORECAST_CACHE.name}{{outcome="{o}"}}') for o in ("hit", "miss"))
            return forecast.SerializeToString(deterministic=True), hits, misses

        first, *before = ask()
        again, *hit = ask()
        client.report(event(1))
        newer, *after = ask()
        assert (before, hit, after) == ([0, 1], [1, 1], [1, 2])
        assert again == first != newer


class Answering(NamedTuple):
    """An engine, what asks it, and what remembers its forecasts."""

    engine: Engine
    service: PredictionService
    memory: Remembered


@contextmanager
def answering(folder: Path, entries: int) -> Iterator[Answering]:
    told = Metrics()
    chosen = read({"models": folder, "history": folder, "forecast_cache_entries": entries})
    journal = Journal(folder / "journal.sqlite")
    memory = Remembered(folder / "forecasts.sqlite", 100)
    with closing(journal), closing(memory):
        one = Engine(journal, LiveScores(told, memory), told, ForecastCache(entries, told), Cores(kept=False))
        yield Answering(one, PredictionService(one, chosen, told, lambda: 1_700_000_000.0), memory)


def fresh(artifact: Artifact) -> Artifact:
    """The artifact as it was published: what an engine learns moves its calibration."""
    forecaster = artifact.forecaster
    calibration = Calibration(forecaster.levels, forecaster.calibration.read)
    return replace(artifact, forecaster=replace(forecaster, calibration=calibration))


JOBS = st.fixed_dictionaries(
    {
        "user": st.sampled_from(USERS),
        "name": st.sampled_from(["relax_1", "relax_2"]),
        "wallclock_req": st.sampled_from([None, 3600]),
        "submit_time": st.sampled_from([1_700_000_000, 1_700_000_900]),
        "job_id": st.sampled_from(["7", "8"]),
    }
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("predict"), JOBS, st.sampled_from([0.1, 0.3])),
        st.tuples(st.just("report"), JOBS, st.sampled_from([None, 60, 5000])),
        st.tuples(st.just("adopt"), st.sampled_from([0, 1]), st.none()),
    ),
    min_size=3,
    max_size=20,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_no_answer_tells_whether_there_is_a_cache(
    artifacts: tuple[Artifact, Artifact], job: Callable[..., Any], steps: list[tuple[str, Any, Any]]
) -> None:
    """Whatever is reported, asked for and adopted in between."""
    with ExitStack() as stack:
        folders = [Path(stack.enter_context(TemporaryDirectory())) for _ in range(3)]
        all_of_them = [
            stack.enter_context(answering(folder, most)) for folder, most in zip(folders, (0, 1, 100), strict=True)
        ]
        for one in all_of_them:
            one.engine.adopt(fresh(artifacts[0]))
        again = [step for step in steps if step[0] == "predict"]
        for what, given_, more in [*steps, *again, *again]:
            answers = [told(one, artifacts, job, what, given_, more) for one in all_of_them]
            assert answers[0] == answers[1] == answers[2]


def told(
    one: Answering, artifacts: tuple[Artifact, Artifact], job: Callable[..., Any], what: str, given_: Any, more: Any
) -> Any:
    """Let one do a step and return what it answers, and what it then remembers of the job."""
    if what == "adopt":
        one.engine.adopt(fresh(artifacts[given_]))
        return None
    if what == "predict":
        asked = job(**given_)
        answer = one.service.Predict(PredictRequest(job=asked, risk=more), None)
        identity = (given_["job_id"], given_["submit_time"])
        return answer.SerializeToString(deterministic=True), one.memory.find([identity])
    row = {**given_}
    identity = {"cluster": "", "job_id": row.pop("job_id"), "submit_time": row.pop("submit_time")}
    start = identity["submit_time"] + 5
    end = None if more is None else start + more
    state = None if more is None else "COMPLETED"
    return one.engine.report([JobEvent(**identity, start_time=start, end_time=end, state=state, job=row)])
