"""Artifacts with a file made wrong and its hash made right, loaded and then used for everything that models are for."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from random import Random

import numpy as np
import small_model
from mutations import bend, redraft, rezip, to_json

from rt_predictor_api import convert, evaluations
from rt_predictor_api.asked import Asked
from rt_predictor_api.engine import Answer
from rt_predictor_api.replica import said
from rt_predictor_core.artifact.files import EVALUATION
from rt_predictor_core.artifact.load import Artifact, load, newest_and_refused
from rt_predictor_core.artifact.manifest import NAME
from rt_predictor_core.features.table import assemble
from rt_predictor_core.models.drift import population_stability
from rt_predictor_core.models.explanation import explain
from rt_predictor_core.models.reference import counts
from rt_predictor_core.requests import Requests
from rt_predictor_formats.errors import Problem
from rtpredictor.v1 import prediction_service_pb2

MANIFEST_SHARE = 0.3
"""How often the manifest itself is changed, and not a file behind it."""


@contextmanager
def opened(folder: Path) -> Iterator[Callable[[Random], str]]:
    """Yield what changes a model, loads and uses it, and puts it back."""
    warnings.simplefilter("ignore")  # numbers that are none are what this is about
    path = small_model.publish_small(folder / "models")
    valid = {str(each.relative_to(path)): each.read_bytes() for each in path.rglob("*") if each.is_file()}
    arrays = [name for name in valid if name.endswith(".npz") or name == EVALUATION]

    def one(random: Random) -> str:
        changed = _changed(valid, arrays, random)
        for name, content in changed.items():
            (path / name).write_bytes(content)
        try:
            return judge(path)
        finally:
            for name in changed:
                (path / name).write_bytes(valid[name])

    yield one


def _changed(valid: dict[str, bytes], arrays: Sequence[str], random: Random) -> dict[str, bytes]:
    """Return the files that are other than those of the valid model."""
    document = json.loads(valid[NAME])
    if random.random() < MANIFEST_SHARE:
        if random.random() < MANIFEST_SHARE:
            return {NAME: bend(valid[NAME], [valid[NAME]], random)}
        for _ in range(random.choice((1, 1, 2))):
            document = redraft(document, random)
        return {NAME: to_json(document)}
    name = random.choice(arrays)
    content = _spoilt(name, valid[name], random)
    document["sha256"][name] = sha256(content).hexdigest()
    if random.random() < 0.5:  # without the probes, which would find most of it
        for member in document["members"]:
            member["native_files"] = []
    return {name: content, NAME: to_json(document)}


def _spoilt(name: str, content: bytes, random: Random) -> bytes:
    """Return a file with some of its contents changed, or some of its bytes."""
    if random.random() >= 0.8:
        return bend(content, [content], random)
    return to_json(redraft(json.loads(content), random)) if name == EVALUATION else rezip(content, random)


def judge(path: Path) -> str:
    """Return whether a model is answered with or refused; whatever else happens is an error."""
    try:
        artifact = load(path)
    except Problem as problem:
        assert str(path) in problem.place, problem
        assert newest_and_refused(path.parent)[0] is None
        return "refused"
    use(artifact)
    return "answered"


def use(artifact: Artifact) -> None:
    """Do with a loaded model everything that the service does."""
    history, forecaster = artifact.history(), artifact.forecaster
    for rows in (1, 70):
        asked = [
            {"user": f"u{row}", "name": "run_1", "wallclock_req": 600.0, "submit_time": small_model.NOW}
            for row in range(rows)
        ]
        requests = Requests.from_rows(asked)
        forecasts = forecaster.forecast(requests, history.read(requests))
        answer = Answer(Asked(requests, np.arange(rows), {}, [None] * rows), artifact.manifest.version, forecasts)
        convert.results(answer, 0.1, prediction_service_pb2.PredictBatchResponse().results)
        convert.arrow_results(answer, 0.1)
        if artifact.reference is not None:
            first = requests.take(slice(1))
            explain(forecaster, artifact.reference, forecaster.inputs(first, history.read(first)))
            counted = counts(assemble(requests, history.read(requests)), artifact.reference.edges)
            population_stability(artifact.reference.shares, counted)
        told = said(forecasts, artifact.manifest.version)
        forecaster.level_of(np.array([told[0].plain]), requests.wallclock_req[:1], np.array([60.0]))
        history.observe([small_model.event(number) for number in range(1_000, 1_003)])
        history.observe([small_model.event(2_000 + rows, start_time=None, end_time=None, state=None)])
    convert.model(artifact.manifest, artifact.manifest.version)
    if artifact.evaluation is not None:
        evaluations.message(artifact.evaluation)
