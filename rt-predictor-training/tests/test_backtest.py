"""The backtest by its command, as a site would run it, and its rivals against their definitions."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from rt_predictor_core.history.state import State
from rt_predictor_core.models.target import Target
from rt_predictor_core.sources.synthetic import write_parquet
from rt_predictor_formats.errors import Problem
from rt_predictor_training.ablation import FAMILIES
from rt_predictor_training.backtest import LEARNING, WARM_UP, blocks_of
from rt_predictor_training.baselines import BASELINES, baselines
from rt_predictor_training.cli import backtest
from rt_predictor_training.course import Course
from rt_predictor_training.ingest import Intake, Jobs, ingest
from rt_predictor_training.rivals import RATIOS_KEPT, request_interval

KEYS = ["mae_h", "median_ae_min", "rmse_h", "ratio_accuracy", "r2", "r2_log", "under_rate", "coverage_90", "width_90_h"]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log") / "log.parquet"
    write_parquet(path, 3000, 3)
    return path


@pytest.fixture(scope="module")
def jobs(log: Path) -> Jobs:
    return ingest(Intake([log], chunk_rows=1000), lambda *_: None)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(backtest, list(map(str, arguments)))


def test_the_command_writes_the_document_and_the_page_and_prints_the_table(log: Path, tmp_path: Path) -> None:
    figures, page = tmp_path / "out.json", tmp_path / "out.html"
    result = run("--data", log, "--json", figures, "--html", page, "--blocks", "2", "--work", tmp_path / "work")
    assert result.exit_code == 0, result.output
    content = json.loads(figures.read_text())
    ran = content["jobs"] - content["left_out"]["never ran"]
    assert content["evaluated"] == ran - content["left_out"]["warm-up"] == ran - int(WARM_UP * ran)
    assert content["blocks"] == 2
    names = [method["name"] for method in content["methods"]]
    assert names[0] == "ensemble"
    assert {*BASELINES, "nrel", "request_interval", "lightgbm", "neighbours"} < set(names)
    assert all(set(KEYS) <= set(method) for method in content["methods"])
    assert [row["family"] for row in content["ablations"]] == list(FAMILIES)
    ensemble, request = content["methods"][0], content["methods"][names.index("request")]
    assert ensemble["mae_h"] < request["mae_h"]
    assert "ensemble" in result.stdout
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert not any((tmp_path / "work").iterdir())


def test_after_the_time_is_over_the_last_models_forecast_the_rest(log: Path, tmp_path: Path) -> None:
    figures = tmp_path / "out.json"
    result = run(
        "--data", log, "--json", figures, "--max-minutes", "0.0001", "--blocks", "5", "--work", tmp_path / "work"
    )
    assert result.exit_code == 0, result.output
    assert "--max-minutes was over after 0 of 5 blocks" in result.stderr
    content = json.loads(figures.read_text())
    assert content["blocks"] == 0
    assert content["ablations"] == []
    assert sum(row["jobs"] for row in content["tenths"]) == content["evaluated"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--blocks", "3000"], "LOG_TOO_SMALL"),
        (["--sample-size", "100"], "LOG_TOO_SMALL"),
        (["--json", "nowhere/out.json"], "NOT_WRITABLE"),
        (["--profile", "huge"], "PROFILE_UNKNOWN"),
    ],
)
def test_a_bad_option_is_one_line(log: Path, tmp_path: Path, arguments: list[str], code: str) -> None:
    result = run("--data", log, "--work", tmp_path, *arguments)
    assert result.exit_code == 1
    (error,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert error.endswith(f"[{code}]")


def test_a_missing_log_is_named(tmp_path: Path) -> None:
    result = run("--data", tmp_path / "none.swf")
    assert result.exit_code == 1
    assert "none.swf" in result.stderr


def test_blocks_follow_each_other_to_the_end() -> None:
    learnt, *blocks = blocks_of(1000, 7)
    assert (learnt.first, learnt.last) == (int((WARM_UP - LEARNING) * 1000), 300)
    assert blocks[0].first == learnt.last
    assert blocks[-1].last == 1000
    assert all(before.last == after.first for before, after in pairwise(blocks))
    with pytest.raises(Problem, match="LOG_TOO_SMALL"):
        blocks_of(199, 2)


def test_the_baselines_are_what_their_definitions_say(jobs: Jobs) -> None:
    target = Target(1.0, 5000.0, 0.0)
    said = baselines(jobs.requests, jobs.events, target)
    events, texts = jobs.events, jobs.requests.texts
    request = target.scale(jobs.requests.wallclock_req)
    np.testing.assert_array_equal(said["request"], request)
    for job in np.random.default_rng(1).choice(len(jobs), 60, replace=False):
        # ends of the second of a submit are known; a job never shows before the second after its own submit
        shown = np.maximum(events.end, events.submit + 1)
        own = events.ran & (texts[:, 0] == texts[job, 0]) & (shown <= events.submit[job])
        past = np.flatnonzero(own)
        past = past[np.argsort(shown[past], kind="stable")]
        if not len(past):
            assert said["last2"][job] == said["user_mean"][job] == request[job]
            continue
        if len(np.unique(shown[past][-3:])) == len(past[-3:]):
            mean = events.run[past[-2:]].mean()
            assert said["last2"][job] == pytest.approx(np.clip(mean, 1.0, request[job]))
        assert said["user_mean"][job] == pytest.approx(np.clip(events.run[past].mean(), 1.0, request[job]))
        named = past[texts[past, -1] == texts[job, -1]]
        if texts[job, -1] and len(named) and len(np.unique(shown[named][-2:])) == len(named[-2:]):
            assert said["last_name"][job] == pytest.approx(np.clip(events.run[named[-1]], 1.0, request[job]))


def test_the_request_interval_covers_what_it_says_on_jobs_alike(jobs: Jobs) -> None:
    course = Course.of(jobs, State())
    random = np.random.default_rng(2)
    run = random.random(len(course)) * 3600
    course = replace(course, events=replace(course.events, run=run, request=np.full(len(course), 3600.0)))
    median, interval = request_interval(course, 1000, Target(1.0, 3600.0, 0.0))
    run_ = course.run[1000:]
    assert abs(((interval[:, 0] <= run_) & (run_ <= interval[:, 1])).mean() - 0.9) < 0.04
    assert abs((run_ <= median).mean() - 0.5) < 0.04
    assert RATIOS_KEPT >= 1000
