"""How models did, part by part, over a real socket: of the one that answers, of earlier ones, of older releases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rt_predictor_core.artifact.files import EVALUATION
from rt_predictor_core.artifact.load import load
from rt_predictor_core.artifact.manifest import NAME
from rt_predictor_core.features.groups import GROUPS
from rtpredictor.v1.model_service_pb2 import GetEvaluationRequest, GetEvaluationResponse, GetModelRequest


def evaluation(client: Any, version: str = "") -> GetEvaluationResponse:
    answer: GetEvaluationResponse = client.model.GetEvaluation(GetEvaluationRequest(version=version))
    return answer


def test_what_the_artifact_holds_is_told(client: Any, trained: Path) -> None:
    told, held = evaluation(client), load(trained).evaluation
    assert told.version == trained.name
    assert held is not None
    assert told.evaluation.overall.jobs == held.overall.jobs > 0
    assert told.evaluation.first_submit_time.seconds == held.first_submit
    for kind in ("months", "weeks", "bands", "tiers"):
        parts, entries = getattr(told.evaluation, kind), getattr(held, kind)
        assert [(part.label, part.jobs, part.mae_hours, part.coverage_90) for part in parts] == [
            (entry.label, entry.jobs, entry.mae_h, entry.coverage_90) for entry in entries
        ]
        assert {one.name for part in parts for one in part.baselines} >= {"request", "last2"}
    assert [(one.level, one.measured) for one in told.evaluation.reliability] == [
        (one.level, one.measured) for one in held.reliability
    ]
    assert {one.group for member in told.evaluation.importance for one in member.features} <= set(GROUPS)
    assert told.evaluation.importance[0].name == "ensemble"


def test_the_whole_agrees_with_the_scores_of_the_model(client: Any) -> None:
    (score, *_) = client.model.GetModel(GetModelRequest()).model.scores
    overall = evaluation(client).evaluation.overall
    assert overall.mae_hours == pytest.approx(score.mae_hours)
    assert overall.coverage_90 == pytest.approx(score.coverage_90)


def test_earlier_models_are_told_too(served: Any, models: Path, newer: Path, publish: Any) -> None:
    (older,) = (path.name for path in models.iterdir())
    publish(newer, models)
    with served() as client:
        assert evaluation(client).version == newer.name
        assert evaluation(client, older).version == older
        assert evaluation(client, older).evaluation != evaluation(client).evaluation


def test_an_unknown_version_is_not_found(client: Any, refusal: Any) -> None:
    refused = refusal(lambda: evaluation(client, "nonesuch"))
    assert (refused.code, refused.reason) == ("NOT_FOUND", "MODEL_UNKNOWN")


def test_a_model_of_an_older_release_says_that_it_has_none(served: Any, models: Path) -> None:
    (model,) = models.iterdir()
    manifest = json.loads((model / NAME).read_text())
    del manifest["sha256"][EVALUATION]
    (model / EVALUATION).unlink()
    (model / NAME).write_text(json.dumps(manifest))
    with served() as client:
        told = evaluation(client)
    assert told.version == model.name
    assert not told.HasField("evaluation")


def test_an_evaluation_that_was_changed_refuses_the_artifact(models: Path, refused: Any) -> None:
    (model,) = models.iterdir()
    with (model / EVALUATION).open("a") as file:
        file.write(" ")
    assert "NO_MODEL" in refused()
