"""What an artifact tells of its newest fold is what the scores of the manifest say, part by part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from rt_predictor_core.artifact.evaluation import Evaluation, PartEntry
from rt_predictor_core.artifact.files import EVALUATION
from rt_predictor_core.artifact.load import Artifact, newest
from rt_predictor_core.features.groups import group_of
from rt_predictor_core.features.table import NAMES, used_columns
from rt_predictor_training.baselines import BASELINES
from rt_predictor_training.cli import synthesize, train
from rt_predictor_training.members import IMPORTANCE

PARTS = ("months", "weeks", "bands", "tiers")


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    folder = tmp_path_factory.mktemp("evaluated")
    log, models = folder / "log.parquet", folder / "models"
    for command, arguments in (
        (synthesize, ["--rows", "6000", "--out", str(log)]),
        (train, ["--data", str(log), "--models", str(models), "--profile", "quick"]),
    ):
        result = CliRunner().invoke(command, arguments)
        assert result.exit_code == 0, result.output
    return newest(models)


@pytest.fixture(scope="module")
def evaluation(artifact: Artifact) -> Evaluation:
    assert artifact.evaluation is not None
    return artifact.evaluation


def mean(parts: Sequence[PartEntry], value: Callable[[PartEntry], float]) -> float:
    return sum(part.jobs * value(part) for part in parts) / sum(part.jobs for part in parts)


def test_the_whole_is_what_the_manifest_scores(artifact: Artifact, evaluation: Evaluation) -> None:
    scores = {row["name"]: row for row in artifact.manifest.scores}
    fold = artifact.manifest.fold
    assert fold is not None
    assert (evaluation.first_submit, evaluation.last_submit) == (fold.first_submit, fold.last_submit)
    assert evaluation.overall.jobs == fold.jobs
    for name in ("mae_h", "median_ae_min", "coverage_90", "width_90_h"):
        assert getattr(evaluation.overall, name) == pytest.approx(scores["ensemble"][name])
    assert tuple(one.name for one in evaluation.overall.baselines) == BASELINES
    for one in evaluation.overall.baselines:
        assert (one.mae_h, one.median_ae_min) == (scores[one.name]["mae_h"], scores[one.name]["median_ae_min"])


@pytest.mark.parametrize("kind", PARTS)
def test_parts_join_to_the_whole(evaluation: Evaluation, kind: str) -> None:
    parts, whole = getattr(evaluation, kind), evaluation.overall
    assert sum(part.jobs for part in parts) == whole.jobs
    assert all(part.jobs for part in parts)
    for name in ("mae_h", "coverage_90", "width_90_h"):
        assert mean(parts, lambda part, name=name: getattr(part, name)) == pytest.approx(getattr(whole, name))
    for place, baseline in enumerate(whole.baselines):
        assert mean(parts, lambda part, place=place: part.baselines[place].mae_h) == pytest.approx(baseline.mae_h)


def test_weeks_are_named_by_their_mondays(evaluation: Evaluation) -> None:
    days = [date.fromisoformat(part.label) for part in evaluation.weeks]
    assert all(day.weekday() == 0 for day in days)
    assert days == sorted(days)


def test_tiers_are_those_of_the_manifest(artifact: Artifact, evaluation: Evaluation) -> None:
    assert artifact.manifest.fold is not None
    told = [(tier.tier, tier.jobs, tier.mae_h, tier.coverage_90) for tier in artifact.manifest.fold.tiers]
    assert [(part.label, part.jobs, part.mae_h, part.coverage_90) for part in evaluation.tiers] == told


def test_reliability_rises_with_the_level(artifact: Artifact, evaluation: Evaluation) -> None:
    assert tuple(one.level for one in evaluation.reliability) == artifact.manifest.levels
    measured = [one.measured for one in evaluation.reliability]
    assert measured == sorted(measured)
    assert 0.0 < measured[0] < measured[-1] <= 1.0


def test_importance_is_shares_of_features_that_the_members_were_given(
    artifact: Artifact, evaluation: Evaluation
) -> None:
    assert [one.name for one in evaluation.importance] == ["ensemble", "xgboost", "lightgbm", "catboost"]
    given = set(NAMES[: used_columns(queued=artifact.manifest.queued)])
    for member in evaluation.importance:
        shares = [one.share for one in member.features]
        assert sum(shares) == pytest.approx(1.0)
        assert shares == sorted(shares, reverse=True)
        assert {one.feature for one in member.features} <= given
        groups = {group_of(one.feature) for one in member.features}
        assert {"wallclock", "alike"} <= groups
    weights = {member.name: member.weight for member in artifact.manifest.members}
    by_name = {member.name: {one.feature: one.share for one in member.features} for member in evaluation.importance}
    told = [name for name in IMPORTANCE if name in by_name]
    total = sum(weights[name] for name in told)
    for feature, share in by_name["ensemble"].items():
        blended = sum(weights[name] * by_name[name].get(feature, 0.0) for name in told) / total
        assert share == pytest.approx(blended)


def test_a_feature_that_decides_everything_has_all_of_the_importance() -> None:
    from rt_predictor_training.members import MEMBERS
    from rt_predictor_training.members.member import Fold, Task

    random = np.random.default_rng(1)
    x = random.normal(size=(2_000, 6)).astype(np.float32)
    task = Task(Fold(x, (x[:, 4] > 0).astype(float)), (0.25, 0.5, 0.75), 5, {}, 1, 0, lambda: None)
    for name, fit in MEMBERS.items():
        share = IMPORTANCE[name](fit(task).native, 6)
        assert share.argmax() == 4, name
        assert share[4] > 0.9, name


def test_an_evaluation_reads_back_as_it_was_written(artifact: Artifact, evaluation: Evaluation) -> None:
    assert Evaluation.from_json((artifact.path / EVALUATION).read_bytes()) == evaluation


@pytest.mark.parametrize(
    ("was", "is_now"),
    [
        (b'"first_submit": ', b'"first_submit": -'),
        (b'"jobs": ', b'"jobs": -'),
        (b'"site_mean_log"', b'"no_feature"'),
        (b'"share": ', b'"share": "'),
        (b'"months"', b'"moons"'),
    ],
)
def test_what_cannot_be_told_is_refused(artifact: Artifact, was: bytes, is_now: bytes) -> None:
    content = (artifact.path / EVALUATION).read_bytes()
    assert was in content
    with pytest.raises((ValueError, TypeError)):
        Evaluation.from_json(content.replace(was, is_now, 1))


def test_an_evaluation_is_small(artifact: Artifact) -> None:
    assert (artifact.path / EVALUATION).stat().st_size < 200_000


def test_the_artifact_of_a_model_without_an_evaluation_loads(artifact: Artifact, tmp_path: Path) -> None:
    from rt_predictor_core.artifact.publish import publish

    files = {name: (artifact.path / name).read_bytes() for name in artifact.manifest.sha256 if name != EVALUATION}
    path = publish(tmp_path, artifact.manifest, files)
    assert path.name == artifact.manifest.version
    assert newest(tmp_path).evaluation is None
