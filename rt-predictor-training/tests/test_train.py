"""From a log file to an artifact by the command, as a site would run it."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import rt_predictor_training
from rt_predictor_core.artifact.load import load, newest
from rt_predictor_core.features.table import assemble
from rt_predictor_core.history.state import State
from rt_predictor_core.models.target import Target
from rt_predictor_formats.errors import Problem
from rt_predictor_training.baselines import BASELINES
from rt_predictor_training.blending import learn_weights
from rt_predictor_training.cli import synthesize, train
from rt_predictor_training.course import Course
from rt_predictor_training.fit import blocks_of
from rt_predictor_training.ingest import Intake, ingest
from rt_predictor_training.profiles import SHIPPED, load_profile
from rt_predictor_training.walk import Block, training_rows


@pytest.fixture(scope="session")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log") / "synthetic.parquet"
    result = CliRunner().invoke(synthesize, ["--rows", "6000", "--out", str(path)])
    assert result.exit_code == 0, result.output
    return path


@pytest.fixture(scope="session")
def trained(log: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    models = tmp_path_factory.mktemp("models")
    result = CliRunner().invoke(train, ["--data", str(log), "--models", str(models), "--profile", "quick"])
    assert result.exit_code == 0, result.output
    return models, result


def test_training_publishes_an_artifact_and_says_how_good_it_is(trained: tuple[Path, Result]) -> None:
    models, result = trained
    manifest = newest(models).manifest
    assert f"published {models / manifest.version}" in result.output
    names = [row["name"] for row in manifest.scores]
    assert names == ["ensemble", "xgboost", "lightgbm", "catboost", "neighbours", "neighbours_wide", *BASELINES]
    assert abs(sum(member.weight for member in manifest.members) - 1.0) < 1e-9
    assert set(manifest.stage_seconds) == {"read", "features", "fit", "gate"}
    assert manifest.jobs == 6000
    example = json.loads((models / manifest.version / "example.json").read_text())
    assert example["user"].startswith("user")


def test_the_artifact_carries_the_backtest_of_its_newest_fold(trained: tuple[Path, Result], log: Path) -> None:
    models, result = trained
    manifest = newest(models).manifest
    fold, ensemble = manifest.fold, manifest.scores[0]
    assert fold is not None
    jobs = ingest(Intake([log], chunk_rows=100_000), lambda *_: None)
    ran = np.flatnonzero(jobs.events.ran)
    rows = ran[-int(load_profile("quick").folds.score * len(ran)) :]
    submit = jobs.requests.submit_time[rows]
    assert (fold.first_submit, fold.last_submit, fold.jobs) == (submit[0], submit[-1], len(rows))
    assert sum(tier.jobs for tier in fold.tiers) == fold.jobs
    for name in ("mae_h", "coverage_90"):
        mean = sum(tier.jobs * getattr(tier, name) for tier in fold.tiers) / fold.jobs
        assert mean == pytest.approx(ensemble[name])
    assert f"the ensemble on these {fold.jobs} jobs" in result.stdout


def test_a_refit_model_is_measured_before_it_knows_the_newest_jobs(
    trained: tuple[Path, Result], log: Path, tmp_path: Path
) -> None:
    quick = (Path(rt_predictor_training.__file__).parent / "profiles/quick.toml").read_text()
    profile = tmp_path / "refit.toml"
    profile.write_text(re.sub("refit = false", "refit = true", quick))
    result = CliRunner().invoke(train, ["--data", str(log), "--models", str(tmp_path), "--profile", str(profile)])
    assert result.exit_code == 0, result.output
    refit, plain = newest(tmp_path).manifest, newest(trained[0]).manifest
    assert refit.sha256 != plain.sha256
    for ours, theirs in zip(refit.scores, plain.scores, strict=True):
        assert ours["mae_h"] == pytest.approx(theirs["mae_h"], rel=1e-6)
    assert refit.fold is not None
    assert plain.fold is not None
    assert [tier.jobs for tier in refit.fold.tiers] == [tier.jobs for tier in plain.fold.tiers]


def test_the_forecast_beats_the_request_and_covers_what_it_says(trained: tuple[Path, Result]) -> None:
    scores = {row["name"]: row for row in newest(trained[0]).manifest.scores}
    ensemble, request = scores["ensemble"], scores["request"]
    assert ensemble["mae_h"] < 0.6 * request["mae_h"]
    # few jobs at the end of a log that drifts: the bounds are wide, but an interval that is not calibrated misses them
    assert 0.7 < ensemble["coverage_90"] < 0.99


def test_the_artifact_forecasts_what_training_forecast(trained: tuple[Path, Result], log: Path) -> None:
    """The replayed log and the snapshot that travels in the artifact are one history."""
    artifact = newest(trained[0])
    jobs = ingest(Intake([log], chunk_rows=1000), lambda *_: None)
    state = State()
    state.replay(jobs.events, jobs.requests)
    asked = jobs.requests.take(slice(len(jobs) - 50, len(jobs)))
    mine = artifact.forecaster.forecast(asked, state.read(asked))
    theirs = load(artifact.path).forecaster.forecast(asked, artifact.history().read(asked))
    np.testing.assert_array_equal(mine.quantiles, theirs.quantiles)
    one = asked.take(slice(7, 8))
    alone = artifact.forecaster.forecast(one, state.read(one))
    np.testing.assert_array_equal(alone.quantiles[0], mine.quantiles[7])
    assert assemble(asked, state.read(asked)).dtype == np.float32


def test_members_are_fitted_on_jobs_that_had_ended_before_the_block(log: Path) -> None:
    jobs = ingest(Intake([log], chunk_rows=100_000), lambda *_: None)
    course = Course.of(jobs, State())
    profile = load_profile("quick")
    for block in (*blocks_of(course, profile), Block(1000, 1100)):
        rows = training_rows(course, block.first, profile)
        assert len(rows)
        assert course.end[rows].max() <= course.submit[block.first]
    assert len(training_rows(course, 1000, replace(profile, train_jobs=70))) == 70


def test_the_blend_prefers_the_better_member() -> None:
    random = np.random.default_rng(5)
    run, levels = 600.0 + 60.0 * random.normal(size=500), np.array([0.1, 0.5, 0.9])
    target, request = Target(1.0, 3600.0, 0.0), np.full(500, 3600.0)
    good = np.quantile(run, levels) * np.ones((500, 1)) / 3600.0
    weights = learn_weights({"good": good, "bad": good + 0.3}, target, run, request, levels)
    assert weights["good"].tolist() == pytest.approx([1.0] * 3)
    assert weights["bad"].tolist() == [0.0] * 3


def test_the_newest_jobs_are_the_sample(log: Path) -> None:
    whole = ingest(Intake([log], chunk_rows=1000), lambda *_: None)
    some = ingest(Intake([log], chunk_rows=1000, sample_size=2000), lambda *_: None)
    np.testing.assert_array_equal(some.requests.submit_time, whole.requests.submit_time[-2000:])


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--profile", "huge"], "PROFILE_UNKNOWN"),
        (["--timezone", "Mars"], "TIMEZONE_UNKNOWN"),
        (["--sample-size", "50"], "LOG_TOO_SMALL"),
    ],
)
def test_a_bad_option_is_one_line_and_publishes_nothing(
    log: Path, tmp_path: Path, arguments: list[str], code: str
) -> None:
    models = tmp_path / "models"
    result = CliRunner().invoke(train, ["--data", str(log), "--models", str(models), *arguments])
    assert result.exit_code == 1
    error = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(error) == 1
    assert error[0].endswith(f"[{code}]")
    assert not models.exists()


def test_shipped_profiles_load_and_a_bad_one_names_its_key(tmp_path: Path) -> None:
    assert [load_profile(name).name for name in SHIPPED] == list(SHIPPED)
    assert load_profile("quick").threads >= 1
    bad = tmp_path / "mine.toml"
    bad.write_text("levels = [0.5]\n")
    with pytest.raises(Problem, match="folds"):
        load_profile(str(bad))
    quick = (Path(rt_predictor_training.__file__).parent / "profiles/quick.toml").read_text()
    bad.write_text(quick.replace("queued = false", 'queued = "no"'))
    with pytest.raises(Problem, match="queued must be true or false"):
        load_profile(str(bad))
