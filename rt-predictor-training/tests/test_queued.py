"""What waits is learnt from where a profile says so, and where it does not, it moves nothing by a bit."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import rt_predictor_training
from rt_predictor_core.artifact.load import newest
from rt_predictor_core.features.table import FIRST_QUEUED, NAMES
from rt_predictor_core.history.state import State
from rt_predictor_core.sources.synthetic import write_parquet
from rt_predictor_training.ablation import FAMILIES, QUEUED, ablations
from rt_predictor_training.cli import train
from rt_predictor_training.course import UNTOLD_IN, Course
from rt_predictor_training.ingest import Intake, ingest
from rt_predictor_training.profiles import Profile, load_profile
from rt_predictor_training.walk import Block, Walk, target_of

BLOCKS = [Block(1500, 2000), Block(2000, 2500)]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log") / "log.parquet"
    write_parquet(path, 3000, 11)
    return path


@pytest.fixture(scope="module")
def course(log: Path) -> Course:
    return Course.of(ingest(Intake([log], chunk_rows=1000), lambda *_: None), State())


@pytest.fixture(scope="module")
def profile() -> Profile:
    return replace(load_profile("quick"), trees=20, threads=1)


def otherwise(course: Course) -> Course:
    """Return the same jobs where something else waits."""
    features = course.history.features.copy()
    of_queue = slice(FIRST_QUEUED - len(NAMES), None)
    features[:, of_queue] = np.random.default_rng(0).random(features[:, of_queue].shape) * 100.0
    return replace(course, history=replace(course.history, features=features))


def quantiles(course: Course, profile: Profile) -> np.ndarray:
    walk = Walk(course, profile, BLOCKS, lambda _: None)
    for number, block in enumerate(BLOCKS):
        walk.step(number, block)
    forecasts = walk.forecasts(slice(0, len(walk.raw)))
    return np.column_stack([forecasts.quantiles, forecasts.exceeds, forecasts.interval])


def test_what_waits_moves_no_forecast_by_a_bit_unless_the_profile_says_so(course: Course, profile: Profile) -> None:
    assert not profile.queued
    np.testing.assert_array_equal(quantiles(otherwise(course), profile), quantiles(course, profile))
    told = replace(profile, queued=True)
    assert (quantiles(otherwise(course), told) != quantiles(course, told)).any()


def test_members_are_fitted_on_the_columns_that_the_profile_names(course: Course) -> None:
    rows = np.arange(len(course))
    without, with_queued = (course.inputs(rows, queued=queued) for queued in (False, True))
    np.testing.assert_array_equal(without, course.table[:, :FIRST_QUEUED])
    np.testing.assert_array_equal(with_queued[:, :FIRST_QUEUED], without)
    untold = np.isnan(with_queued[:, FIRST_QUEUED:]).all(axis=1)
    np.testing.assert_array_equal(with_queued[~untold], course.table[~untold])
    assert 0.5 < untold.mean() * UNTOLD_IN < 2.0
    assert not np.isnan(course.table[1:, FIRST_QUEUED:]).all(axis=1).any()
    shuffled = np.random.default_rng(1).permutation(rows)
    np.testing.assert_array_equal(course.inputs(shuffled, queued=True), with_queued[shuffled])


def test_a_service_that_hears_of_no_submissions_forecasts_about_as_well(course: Course, profile: Profile) -> None:
    walk = Walk(course, replace(profile, queued=True, trees=80), BLOCKS, lambda _: None)
    walk.step(0, BLOCKS[0])
    newest = slice(BLOCKS[1].first, BLOCKS[1].last)
    requests, told = course.requests.take(newest), course.history.take(newest)
    features = told.features.copy()
    features[:, FIRST_QUEUED - len(NAMES) :] = np.nan
    errors = [
        np.abs(walk.forecaster.forecast(requests, history).median - course.run[newest]).mean()
        for history in (told, replace(told, features=features))
    ]
    assert errors[1] < 1.1 * errors[0]


@pytest.mark.parametrize("queued", [False, True])
def test_an_ablation_tells_what_the_queue_is_worth_whether_it_is_used_or_not(
    course: Course, profile: Profile, *, queued: bool
) -> None:
    chosen = replace(profile, queued=queued)
    target = target_of(course, np.arange(1500), chosen)
    fits: list[None] = []
    rows = {row.family: row for row in ablations(course, chosen, target, BLOCKS[1:], lambda: fits.append(None))}
    assert list(rows) == list(FAMILIES)
    assert len(fits) == len(FAMILIES) + 1
    used = {row.mae_h for family, row in rows.items() if family != QUEUED}
    assert used == {rows[QUEUED].mae_h if queued else rows[QUEUED].mae_h_without}
    assert rows[QUEUED].mae_h != rows[QUEUED].mae_h_without


def test_the_command_trains_with_and_without_and_the_artifact_says_which(log: Path, tmp_path: Path) -> None:
    quick = (Path(rt_predictor_training.__file__).parent / "profiles/quick.toml").read_text()
    small = re.sub(r"^(trees|threads) = \d+", r"\1 = 3", quick, flags=re.MULTILINE)
    said = {}
    for name, options in {"default": [], "off": ["--no-queued"], "on": ["--queued"]}.items():
        profile = tmp_path / f"{name}.toml"
        profile.write_text(small.replace("queued = false", "queued = true") if name == "off" else small)
        order = ["--data", str(log), "--models", str(tmp_path / name), "--profile", str(profile), *options]
        done = CliRunner().invoke(train, order)
        assert done.exit_code == 0, done.output
        said[name] = newest(tmp_path / name)
    assert {name: one.manifest.queued for name, one in said.items()} == {"default": False, "off": False, "on": True}
    digests = {name: one.manifest.sha256["members/xgboost.npz"] for name, one in said.items()}
    assert digests["default"] == digests["off"] != digests["on"]
