"""Newer, damaged and removed models while the service runs."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Any

import grpc

from rt_predictor_core.artifact.rollback import roll_back
from rtpredictor.v1.model_service_pb2 import GetModelRequest, ListModelsRequest
from rtpredictor.v1.prediction_service_pb2 import PredictRequest


def version(client: Any) -> str:
    return client.model.GetModel(GetModelRequest()).model.version


def damage(model: Path) -> None:
    member = next((model / "members").glob("*.npz"))
    data = bytearray(member.read_bytes())
    data[len(data) // 2] ^= 1
    member.write_bytes(data)


def test_a_newer_model_answers_soon_and_knows_what_was_reported(
    served: Any, models: Path, newer: Path, publish: Any, until: Callable[..., Any], job: Any, event: Any
) -> None:
    with served(watch_interval_seconds=0.05) as client:
        old = version(client)
        client.report(event(1), event(2))
        publish(newer, models)
        until(lambda: version(client) == newer.name, "the newer model")
        forecast = client.prediction.Predict(PredictRequest(job=job())).forecast
        assert (forecast.model_version, forecast.history_jobs) == (newer.name, 2)
        assert client.report(event(1)).duplicates == 1
        assert client.value(f'rtpredictor_model_info{{profile="quick",version="{newer.name}"}}') == 1
        assert client.value(f'rtpredictor_model_info{{profile="quick",version="{old}"}}') == 0
        listed = client.model.ListModels(ListModelsRequest()).models
        assert [(model.version, model.current) for model in listed] == [(newer.name, True), (old, False)]


def test_no_call_fails_while_models_come_and_go(
    served: Any, models: Path, newer: Path, publish: Any, until: Callable[..., Any], job: Any, event: Any
) -> None:
    failures: list[grpc.RpcError] = []
    reported: list[int] = []
    answered: set[str] = set()
    stop = Event()

    def ask(client: Any) -> None:
        while not stop.is_set():
            try:
                answered.add(client.prediction.Predict(PredictRequest(job=job())).forecast.model_version)
            except grpc.RpcError as error:
                failures.append(error)

    def report(client: Any) -> None:
        while not stop.is_set():
            number = len(reported)
            reported.append(client.report(event(number)).accepted)

    with served(watch_interval_seconds=0.05) as client:
        old = version(client)
        threads = [Thread(target=ask, args=(client,)) for _ in range(3)] + [Thread(target=report, args=(client,))]
        for thread in threads:
            thread.start()
        for _ in range(3):
            publish(newer, models)
            until(lambda: version(client) == newer.name, "the newer model")
            shutil.rmtree(models / newer.name)
            until(lambda: version(client) == old, "the older model")
        stop.set()
        for thread in threads:
            thread.join()
        assert not failures
        assert answered == {old, newer.name}
        assert set(reported) == {1}
        forecast = client.prediction.Predict(PredictRequest(job=job())).forecast
        assert forecast.history_jobs == len(reported), "a report was lost or doubled in a swap"


def test_a_damaged_newer_model_is_refused_once_and_the_old_stays(
    served: Any, models: Path, newer: Path, publish: Any, until: Callable[..., Any]
) -> None:
    refusals = 'rtpredictor_model_loads_total{outcome="refused"}'
    with served(watch_interval_seconds=0.05) as client:
        old = version(client)
        broken = shutil.copytree(newer, models.parent / "broken" / newer.name)
        damage(broken)
        publish(broken, models)
        until(lambda: client.value(refusals) == 1, "the refusal")
        assert version(client) == old
        assert client.status() == "SERVING"
        assert [model.version for model in client.model.ListModels(ListModelsRequest()).models] == [old]
        # mended in place, it is judged again
        member = next((newer / "members").glob("*.npz")).relative_to(newer)
        shutil.copyfile(newer / member, models / newer.name / member)
        until(lambda: version(client) == newer.name, "the mended model")
        assert client.value(refusals) == 1


def test_an_unknown_or_invalid_version_is_not_found(
    served: Any, models: Path, newer: Path, publish: Any, refusal: Any
) -> None:
    damage(publish(newer, models))
    with served() as client:
        for name in ("20990101T000000Z-00000000", newer.name, "..", "../models", "x" * 250):
            refused = refusal(lambda name=name: client.model.GetModel(GetModelRequest(version=name)))
            assert (refused.code, refused.reason) == ("NOT_FOUND", "MODEL_UNKNOWN")


def test_a_model_is_described_as_it_was_trained(served: Any, trained: Path) -> None:
    from rt_predictor_core.artifact.manifest import Manifest

    manifest = Manifest.read(trained)
    with served() as client:
        model = client.model.GetModel(GetModelRequest(version=manifest.version)).model
    assert model.current
    assert (model.jobs, model.profile, model.created_time.seconds) == (manifest.jobs, "quick", manifest.created)
    assert (model.first_submit_time.seconds, model.last_submit_time.seconds) == (
        manifest.first_submit,
        manifest.last_submit,
    )
    assert tuple(model.quantile_levels) == manifest.levels
    assert {member.name: member.weight for member in model.members} == {
        member.name: member.weight for member in manifest.members
    }
    assert [score.name for score in model.scores] == [score["name"] for score in manifest.scores]
    assert model.scores[0].name == "ensemble"
    assert model.scores[0].mae_hours == manifest.scores[0]["mae_h"]
    request = next(score for score in model.scores if score.name == "request")
    assert not request.HasField("coverage_90")


def test_a_folder_that_vanishes_leaves_the_model_answering(
    served: Any, models: Path, until: Callable[..., Any], job: Any
) -> None:
    with served(watch_interval_seconds=0.02) as client:
        shutil.rmtree(models)
        scrapes = client.value("process_cpu_seconds_total")
        until(lambda: client.value("process_cpu_seconds_total") > scrapes, "a few looks")
        assert client.prediction.Predict(PredictRequest(job=job())).forecast.median_seconds > 0
        assert client.status() == "SERVING"


def test_a_roll_back_answers_within_seconds_and_forgets_no_report(
    start: Any, models: Path, newer: Path, publish: Any, until: Callable[..., Any], job: Any, event: Any
) -> None:
    """The older snapshot knows nothing of what was reported since; the journal tells it."""
    (older,) = models.iterdir()
    publish(newer, models)
    service = start()
    assert version(service) == newer.name
    asked = PredictRequest(job=job())
    service.report(event(1), event(2, run_time=None))
    service.report(event(3))
    rolled = roll_back(models, older.name, time.time())
    assert rolled is not None
    until(lambda: version(service) == rolled.path.name, "the model that was rolled back to", 10.0)
    forecast = service.prediction.Predict(asked).forecast
    assert (forecast.model_version, forecast.history_jobs) == (rolled.path.name, 2)
    assert service.report(event(1), event(2, run_time=None), event(3)).duplicates == 3
    assert service.report(event(2)).accepted == 1
    assert service.prediction.Predict(asked).forecast.history_jobs == 3

    listed = service.model.ListModels(ListModelsRequest()).models
    assert [(model.version, model.current) for model in listed] == [
        (rolled.path.name, True),
        (newer.name, False),
        (older.name, False),
    ]


def test_a_model_rolled_back_to_says_the_same_numbers_as_before(
    served: Any, models: Path, newer: Path, publish: Any, until: Callable[..., Any], job: Any
) -> None:
    (older,) = models.iterdir()
    asked = PredictRequest(job=job())
    with served(watch_interval_seconds=0.05) as client:
        before = client.prediction.Predict(asked).forecast
        publish(newer, models)
        until(lambda: version(client) == newer.name, "the newer model")
        rolled = roll_back(models, older.name, time.time())
        assert rolled is not None
        until(lambda: version(client) == rolled.path.name, "the model that was rolled back to")
        after = client.prediction.Predict(asked).forecast
    before.model_version = after.model_version
    assert after == before
