"""What is asked against what the model was trained on: counted exactly, bounded, and added up over processes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from rt_predictor_api import drift
from rt_predictor_api.drift import KEPT_ROWS, WINDOW_HOURS, Counted, Drift, file_of, joined, of_processes
from rt_predictor_api.metrics import FEATURE_DRIFT
from rt_predictor_core.artifact.files import REFERENCE
from rt_predictor_core.artifact.load import Artifact, load
from rt_predictor_core.features.table import NAMES, HistoryRows, assemble
from rt_predictor_core.models.drift import FEWEST_ROWS, UNFOLLOWED, population_stability
from rt_predictor_core.models.reference import counts
from rt_predictor_core.requests import Requests
from rtpredictor.v1.prediction_service_pb2 import PredictBatchRequest, PredictRequest

HOUR = 3600


@pytest.fixture(scope="module")
def artifact(trained: Path) -> Artifact:
    return load(trained)


def rows(number: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(2.0, 3.0, (number, len(NAMES))).astype(np.float32)


def of(counted: Counted | None) -> int:
    """Return how many rows were counted."""
    return 0 if counted is None else int(counted.counts[0].sum())


def told(scraped: str) -> dict[str, float]:
    (family,) = (one for one in text_string_to_metric_families(scraped) if one.name == FEATURE_DRIFT.name)
    return {sample.labels["feature"]: sample.value for sample in family.samples}


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.hour = 1_000

    def __call__(self) -> float:
        return float(self.hour * HOUR)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def following(artifact: Artifact, clock: Clock) -> Drift:
    made = Drift(None, clock)
    made.follow(artifact)
    return made


@pytest.mark.parametrize("sizes", [[1] * 50, [700, 1, 4_000, 90], [KEPT_ROWS - 1, 2, 3], [KEPT_ROWS]])
def test_every_row_is_counted_in_its_bin(following: Drift, artifact: Artifact, sizes: list[int]) -> None:
    served = [rows(size, seed) for seed, size in enumerate(sizes)]
    for one in served:
        following.add(one)
        if len(one) > 1:
            following.look()
    following.look()
    counted = following.counted()
    assert counted is not None
    assert artifact.reference is not None
    expected = counts(np.concatenate(served), artifact.reference.edges)
    np.testing.assert_array_equal(counted.counts, expected[counted.columns])


def test_of_more_rows_than_have_room_the_newest_are_counted(following: Drift, artifact: Artifact) -> None:
    served = [rows(3_000, seed) for seed in range(4)] + [rows(2 * KEPT_ROWS, 9)]
    for one in served:
        following.add(one)
    following.look()
    counted = following.counted()
    assert counted is not None
    assert artifact.reference is not None
    expected = counts(served[-1][-KEPT_ROWS:], artifact.reference.edges)
    np.testing.assert_array_equal(counted.counts, expected[counted.columns])


def test_rows_are_forgotten_after_a_week(following: Drift, clock: Clock) -> None:
    for _ in range(3 * WINDOW_HOURS):
        clock.hour += 1
        following.add(rows(5))
        following.look()
    assert of(following.counted()) == 5 * WINDOW_HOURS
    clock.hour += WINDOW_HOURS - 1
    following.look()
    assert of(following.counted()) == 5
    clock.hour += 1
    following.look()
    assert of(following.counted()) == 0


def test_another_model_begins_anew(following: Drift, artifact: Artifact) -> None:
    following.add(rows(600))
    following.look()
    following.add(rows(600))
    following.follow(artifact)
    following.look()
    assert of(following.counted()) == 0
    following.follow(replace(artifact, reference=None))
    following.add(rows(600))
    following.look()
    assert following.counted() is None


def test_only_what_the_model_uses_and_time_alone_does_not_move_is_followed(following: Drift) -> None:
    counted = following.counted()
    assert counted is not None
    names = {NAMES[column] for column in counted.columns}
    assert not names & UNFOLLOWED
    assert "log_wallclock_req" in names
    assert not any(name.startswith("queued_") for name in names)


def test_counts_of_processes_are_added_up_before_anything_is_computed(artifact: Artifact, tmp_path: Path) -> None:
    whole = rows(4_000)
    parts = [whole[:3_100], whole[3_100:]]
    for process, part in enumerate(parts):
        one = Drift(None)
        one.follow(artifact)
        one.add(part)
        one.look()
        counted = one.counted()
        assert counted is not None
        counted.save(file_of(tmp_path, process))
    old = replace(counted, version="20000101T000000Z-00000000")
    old.save(file_of(tmp_path, 2))
    file_of(tmp_path, 3).write_bytes(b"half a file")
    together = joined(of_processes(tmp_path, range(5)))
    assert together is not None
    assert artifact.reference is not None
    np.testing.assert_array_equal(together.counts, counts(whole, artifact.reference.edges)[together.columns])


def test_nothing_is_told_of_few_jobs_and_a_gauge_per_feature_of_many(served: Any, job: Any) -> None:
    with served() as client:
        client.prediction.Predict(PredictRequest(job=job()))
        client.service._drift.look()
        assert told(client.scrape()) == {}
        same = [job(user=f"u{number}") for number in range(FEWEST_ROWS)]
        client.prediction.PredictBatch(PredictBatchRequest(jobs=same))
        client.service._drift.look()
        drifted = told(client.scrape())
        assert drifted.keys() <= set(NAMES)
        assert len(drifted) > 80
        # all of them ask for the same, of unknown users
        assert drifted["log_wallclock_req"] > 0.25
        assert drifted["user_mean_log"] > 0.25


def test_jobs_as_those_of_training_do_not_drift(artifact: Artifact, following: Drift) -> None:
    with np.load(artifact.path / "training.npz") as kept:
        log = {name: kept[name] for name in kept.files}
    requests = Requests(*(log[f"requests.{name}"] for name in ("texts", "numbers", "submit_time")))
    history = [log[f"history.{name}"] for name in ("features", "tier", "jobs")]
    following.add(assemble(requests, HistoryRows(*history)))
    following.look()
    counted = following.counted()
    assert counted is not None
    assert population_stability(counted.shares, counted.counts).max() < 0.25


def test_a_model_of_an_older_release_tells_no_drift(served: Any, models: Path, job: Any) -> None:
    (model,) = models.iterdir()
    manifest = json.loads((model / "manifest.json").read_text())
    del manifest["sha256"][REFERENCE]
    (model / REFERENCE).unlink()
    (model / "manifest.json").write_text(json.dumps(manifest))
    with served() as client:
        client.prediction.PredictBatch(PredictBatchRequest(jobs=[job()] * FEWEST_ROWS))
        client.service._drift.look()
        assert told(client.scrape()) == {}


def test_several_workers_tell_the_drift_of_all_rows(
    start: Any, job: Any, artifact: Artifact, until: Callable[..., Any]
) -> None:
    service = start(RT_PREDICTOR_WORKERS="2")
    jobs = [job(user=f"u{number}", wallclock_req=60 + 600 * number) for number in range(150)]
    batches = 8
    for _ in range(batches):
        # each connection may reach the other process
        other = service.bearer("")
        other.prediction.PredictBatch(PredictBatchRequest(jobs=jobs))
        other.channel.close()
    asked = [
        {"user": one.user, "wallclock_req": one.wallclock_req, "nodes_req": 2, "processors_req": 72, "name": one.name}
        for one in jobs
    ]
    requests = Requests.from_rows([{**one, "submit_time": jobs[0].submit_time.seconds} for one in asked])
    table = np.tile(assemble(requests, artifact.history().read(requests)), (batches, 1))
    assert artifact.reference is not None
    expected = population_stability(artifact.reference.shares, counts(table, artifact.reference.edges))
    feature = "log_wallclock_req"

    def agrees() -> bool:
        try:
            found = told(service.scrape()).get(feature)
        except HTTPError:  # the library trips over the empty file of a worker that begins
            return False
        return found is not None and abs(found - expected[NAMES.index(feature)]) < 1e-9

    until(agrees, "the counts of both workers", 4 * drift.LOOK_SECONDS + 60)
