"""The gate's rule on figures, and the whole gate on models and jobs as they are."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from rt_predictor_core.artifact.load import load, newest, versions
from rt_predictor_core.artifact.manifest import Manifest
from rt_predictor_core.artifact.publish import publish
from rt_predictor_core.history.state import State
from rt_predictor_core.models.forecast import Forecaster
from rt_predictor_core.models.neighbours import Neighbours
from rt_predictor_core.requests import Requests
from rt_predictor_core.scores import pinball, point_scores
from rt_predictor_formats.errors import Problem
from rt_predictor_training.cli import synthesize, train
from rt_predictor_training.course import Course
from rt_predictor_training.findings import Evidence, examine
from rt_predictor_training.gate import (
    FEWEST_NEWER_JOBS,
    REFIT_TOLERANCE,
    TOLERANCE,
    Candidate,
    Decision,
    clearly_worse,
    decide,
    user_weeks,
)
from rt_predictor_training.ingest import Intake, Jobs, ingest
from rt_predictor_training.newest import Newest
from rt_predictor_training.profiles import load_profile

WEEK = 7 * 24 * 3600


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log") / "synthetic.parquet"
    assert CliRunner().invoke(synthesize, ["--rows", "6000", "--out", str(path)]).exit_code == 0
    return path


@pytest.fixture(scope="module")
def trained(log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the artifact of the log; treat it as read-only."""
    models = tmp_path_factory.mktemp("models")
    result = CliRunner().invoke(train, ["--data", str(log), "--models", str(models), "--profile", "quick"])
    assert result.exit_code == 0, result.output
    return newest(models).path


def score_fold(jobs: Jobs) -> np.ndarray:
    ran = np.flatnonzero(jobs.events.ran)
    return ran[-int(load_profile("quick").folds.score * len(ran)) :]


@pytest.fixture(scope="module")
def fold(log: Path) -> Newest:
    """Return the newest fold of the log, which the model of ``trained`` was scored on."""
    jobs = ingest(Intake([log], chunk_rows=100_000), lambda *_: None)
    return Newest.of(Course.of(jobs, State()), len(score_fold(jobs)))


@pytest.fixture
def put(trained: Path, tmp_path: Path) -> Callable[..., Path]:
    """Publish the trained model with a changed manifest, as the current one."""

    def change(**changes: object) -> Path:
        manifest = replace(Manifest.read(trained), **changes)  # type: ignore[arg-type]
        return publish(tmp_path, manifest, {name: (trained / name).read_bytes() for name in manifest.sha256})

    return change


def shifted(forecaster: Forecaster) -> Forecaster:
    """Return the model with trees alone, which say so much more that all quantiles move up to the limit."""
    trees = {
        name: replace(member, base=member.base + 2.0)
        for name, member in forecaster.members.items()
        if not isinstance(member, Neighbours)
    }
    return replace(forecaster, members=trees, weights={name: forecaster.weights[name] for name in trees})


def decided(
    models: Path, forecaster: Forecaster, fold: Newest, *, refit: bool = False, force: bool = False
) -> Decision:
    return decide(models, Candidate(forecaster, refit), fold, (), force=force)


def test_the_same_model_again_is_published_and_the_comparison_recorded(
    put: Callable[..., Path], fold: Newest, tmp_path: Path
) -> None:
    current = load(put(last_submit=0))
    promotion = decided(tmp_path, current.forecaster, fold).promotion
    forecasts = fold.forecast(current.forecaster)
    assert (promotion.compared_with, promotion.jobs, promotion.forced) == (current.path.name, len(fold), False)
    assert promotion.mae_h == promotion.current_mae_h
    assert promotion.mae_h == pytest.approx(point_scores(forecasts.median, fold.run)["mae_h"])
    assert promotion.pinball_h == promotion.current_pinball_h
    assert promotion.pinball_h == pytest.approx(pinball(forecasts.quantiles, fold.run, forecasts.levels) / 3600)
    # the fold's scores in the manifest are of the same model on the same jobs
    assert promotion.mae_h == pytest.approx(current.manifest.scores[0]["mae_h"])


def test_a_worse_model_is_refused_with_both_figures_and_the_remedy(
    put: Callable[..., Path], fold: Newest, tmp_path: Path
) -> None:
    current = load(put(last_submit=0))
    with pytest.raises(Problem) as caught:
        decided(tmp_path, shifted(current.forecaster), fold)
    assert caught.value.code == "MODEL_WORSE"
    error = point_scores(fold.forecast(current.forecaster).median, fold.run)["mae_h"]
    for part in (f"{error:.3f} h", f"{len(fold)} newest jobs", current.path.name, "--force"):
        assert part in str(caught.value)


def test_force_publishes_a_worse_model_and_the_manifest_says_so(
    put: Callable[..., Path], fold: Newest, tmp_path: Path
) -> None:
    current = load(put(last_submit=0))
    decision = decided(tmp_path, shifted(current.forecaster), fold, force=True)
    assert decision.promotion.forced
    assert decision.promotion.mae_h > decision.promotion.current_mae_h  # type: ignore[operator]
    assert "MODEL_WORSE" in decision.notes[0]
    assert not decided(tmp_path, current.forecaster, fold, force=True).promotion.forced


def test_only_jobs_after_the_current_models_log_count(put: Callable[..., Path], fold: Newest, tmp_path: Path) -> None:
    submit = fold.requests.submit_time
    current = load(put(last_submit=int(submit[200])))
    promotion = decided(tmp_path, current.forecaster, fold).promotion
    assert promotion.jobs == int((submit > submit[200]).sum())
    assert promotion.jobs < len(fold)


def test_with_too_few_newer_jobs_even_a_worse_model_is_published_with_a_note(
    put: Callable[..., Path], fold: Newest, tmp_path: Path
) -> None:
    current = load(put(last_submit=int(fold.requests.submit_time[-FEWEST_NEWER_JOBS // 2])))
    decision = decided(tmp_path, shifted(current.forecaster), fold)
    assert decision.promotion.compared_with is None
    assert "baselines only" in decision.notes[0]
    assert current.path.name in decision.notes[0]


def test_a_model_of_other_features_is_noted_and_the_next_valid_one_is_current(
    put: Callable[..., Path], fold: Newest, tmp_path: Path
) -> None:
    current = load(put(last_submit=0))
    put(last_submit=0, version="30000101T000000Z-00000000", features="other")
    decision = decided(tmp_path, current.forecaster, fold)
    assert decision.promotion.compared_with == current.path.name
    assert "ARTIFACT_FEATURES" in decision.notes[0]


def test_without_a_model_the_issues_found_are_all_that_is_recorded(fold: Newest, trained: Path, tmp_path: Path) -> None:
    scores = ({"name": "ensemble", "mae_h": 2.0, "coverage_90": 0.5}, {"name": "last2", "mae_h": 1.0})
    findings = examine(Evidence(scores, {"one": 0.0}, 100, 0, 0.0, 0.0, 0.0, 1.0, 1.0))
    decision = decide(tmp_path, Candidate(load(trained).forecaster, refit=False), fold, findings, force=False)
    assert decision.promotion.findings == ("RTP102", "RTP103")
    assert (decision.promotion.compared_with, decision.notes) == (None, ())


def test_a_difference_that_hangs_on_one_user_is_chance() -> None:
    random = np.random.default_rng(3)
    blocks = np.repeat(np.arange(50), 20)
    old = random.exponential(size=1000)
    everywhere, once = old * 1.1, old + np.where(blocks == 7, 10.0, 0.0)
    assert clearly_worse(everywhere, old, blocks, TOLERANCE)
    assert once.sum() > everywhere.sum()
    assert not clearly_worse(once, old, blocks, TOLERANCE)
    grossly = old + np.where(blocks == 7, 50.0, 0.0)
    assert clearly_worse(grossly, old, blocks, TOLERANCE)


@given(st.floats(0.0, 0.5), st.integers(0, 2**32 - 1))
def test_a_candidate_that_is_nowhere_worse_is_never_refused(gain: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    old = random.exponential(size=300)
    new = old * (1.0 - gain * random.random(300))
    assert not clearly_worse(new, old, random.integers(0, 30, 300), TOLERANCE)
    assert not clearly_worse(old * (1.0 + TOLERANCE / 2), old, random.integers(0, 30, 300), TOLERANCE)


def test_a_candidate_that_is_fitted_again_has_more_room() -> None:
    assert Candidate(None, refit=False).tolerance == TOLERANCE  # type: ignore[arg-type]
    assert Candidate(None, refit=True).tolerance == REFIT_TOLERANCE  # type: ignore[arg-type]


def test_a_block_is_one_users_week() -> None:
    asked = [("ada", 0), ("ada", WEEK - 1), ("ada", WEEK), ("bob", 0), (None, 0), (None, 5)]
    requests = Requests.from_rows([{"user": user, "submit_time": moment} for user, moment in asked])
    blocks = user_weeks(requests)
    assert blocks[0] == blocks[1]
    assert blocks[4] == blocks[5]
    assert len(set(blocks.tolist())) == 4


def test_the_command_refuses_a_worse_model_in_one_line_and_keeps_the_current_one(
    put: Callable[..., Path], log: Path, tmp_path: Path
) -> None:
    """A candidate of one tree that hardly learns answers about the same share of the request for every job."""
    current = put(last_submit=0)
    poor = tmp_path / "poor.toml"
    quick = (Path(__file__).parents[1] / "src/rt_predictor_training/profiles/quick.toml").read_text()
    quick = re.sub(r"(eta|learning_rate) = [\d.]+", r"\1 = 0.0001", quick)
    poor.write_text(quick.replace("trees = 80", "trees = 1"))
    arguments = ["--data", str(log), "--models", str(tmp_path), "--profile", str(poor)]
    refused = CliRunner().invoke(train, arguments)
    assert refused.exit_code == 1
    (line,) = [line for line in refused.stderr.splitlines() if line.startswith("error: ")]
    assert line.endswith("[MODEL_WORSE]")
    assert versions(tmp_path) == [current.name]
    forced = CliRunner().invoke(train, [*arguments, "--force"])
    assert forced.exit_code == 0, forced.output
    promotion = newest(tmp_path).manifest.promotion
    assert promotion is not None
    assert (promotion.forced, promotion.compared_with) == (True, current.name)
    listed = CliRunner().invoke(train, ["--list", "--models", str(tmp_path)]).output
    assert "forced" in listed
