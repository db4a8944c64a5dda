"""The command on a real log, and what a forecast may know."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from rt_predictor_training.ingest import Intake, ingest
from rt_predictor_training.profiles import load_profile
from rt_predictor_training.simulation.command import simulate as command
from rt_predictor_training.simulation.estimators import Ensemble, Known, LastTwo
from rt_predictor_training.simulation.forecasters import train, warm_up_jobs
from rt_predictor_training.simulation.measures import MEASURES, measures
from rt_predictor_training.simulation.names import INPUTS
from rt_predictor_training.simulation.replay import RULES, simulate
from rt_predictor_training.simulation.workload import Machine, Workload, workload_of

PUBLISHED = {
    ("easy", "request"): 87.8703241921987,
    ("easy", "last2"): 79.21,
    ("easy", "true"): 70.48,
    ("easy-sjbf", "request"): 84.8889445442655,
    ("easy-sjbf", "last2"): 65.06,
    ("easy-sjbf", "true"): 56.836221269454,
}
"""Average bounded slowdown of SDSC-SP2 in the result files of Gaussier et al., SC'15, as many digits as are known."""

PROFILE = replace(load_profile("quick"), trees=15)


def read(path: Path) -> Workload:
    return workload_of(ingest(Intake([path], 100_000), lambda *_: None), Machine(128, "known"), path.name)


@pytest.fixture(scope="module")
def whole(sp2: Path) -> Workload:
    return read(sp2)


@pytest.mark.parametrize(("scheduler", "name"), PUBLISHED)
def test_the_published_slowdowns_come_out(whole: Workload, scheduler: str, name: str) -> None:
    estimator = {"request": Known(whole.request), "true": Known(whole.run), "last2": LastTwo(whole)}[name]
    found = measures(whole, simulate(whole, RULES[scheduler], estimator), whole.row >= 0)["bounded_slowdown"]
    assert len(whole) == 54_006
    assert found == pytest.approx(PUBLISHED[scheduler, name], rel=1e-4)


def test_a_forecast_does_not_change_with_what_has_not_ended(sp2_begin: Path) -> None:
    """Poison the run time of every job that is not over when the first forecast is made."""
    work = read(sp2_begin)
    moment = int(work.submit[warm_up_jobs(len(work))])
    reference = simulate(work, RULES["easy"], Known(work.request)).start
    late = reference + work.run >= moment
    run = np.where(late, np.maximum(work.run // 2, np.minimum(work.request, moment - reference)), work.run)
    events = replace(work.jobs.events, run=run.astype(np.float64))
    poisoned = replace(work, run=run, jobs=replace(work.jobs, events=events))
    assert (run != work.run).sum() > 500
    first = int(np.searchsorted(work.submit, moment))
    estimates = []
    for each in (work, poisoned):
        start = simulate(each, RULES["easy"], Known(each.request)).start
        ensemble = Ensemble(each, train(each, start, PROFILE, 1, lambda: None))
        estimates.append(simulate(each, RULES["easy"], ensemble).estimate)
    assert estimates[0][first] == estimates[1][first] != work.request[first]
    assert (estimates[0][:first] == work.request[:first]).all()
    assert (estimates[0] != estimates[1]).any()


def test_the_command_compares_all_inputs_and_writes_what_it_documents(sp2_begin: Path, tmp_path: Path) -> None:
    profile = tmp_path / "small.toml"
    shipped = Path(load_profile.__code__.co_filename).with_name("quick.toml").read_text("utf-8")
    profile.write_text(shipped.replace("trees = 80", "trees = 15"), "utf-8")
    out = tmp_path / "study.json"
    options = ["--data", str(sp2_begin), "--json", str(out), "--profile", str(profile)]
    result = CliRunner().invoke(command, [*options, "--shakes", "2", "--blocks", "2"])
    assert result.exit_code == 0, result.output
    study = json.loads(out.read_text("utf-8"))
    assert study["jobs"] == 3000
    assert study["warm_up_jobs"] == 900
    assert study["processors_from"] == "widest request in the log"
    assert [(run["scheduler"], run["input"]) for run in study["runs"]] == [
        (scheduler, name) for scheduler in RULES for name in INPUTS
    ]
    for run in study["runs"]:
        assert list(run["all"]) == list(MEASURES)
        spread = run["shaken"]["after_warm_up"]["bounded_slowdown"]
        assert 1.0 <= spread["least"] <= spread["mean"] <= spread["greatest"]
        assert run["input"] in result.stdout
    assert "processors: widest request in the log" in result.stderr


def test_a_log_too_small_for_forecasts_can_be_simulated_without_them(sp2_begin: Path) -> None:
    few = ["--data", str(sp2_begin), "--sample-size", "400", "--shakes", "0"]
    result = CliRunner().invoke(command, few)
    assert result.exit_code == 1
    assert "[LOG_TOO_SMALL]" in result.stderr
    assert CliRunner().invoke(command, [*few, "--inputs", "request"]).exit_code == 0


def test_a_file_that_cannot_be_written_is_named_before_the_work(sp2_begin: Path, tmp_path: Path) -> None:
    out = tmp_path / "missing" / "study.json"
    result = CliRunner().invoke(command, ["--data", str(sp2_begin), "--json", str(out)])
    assert result.exit_code == 1
    assert "[JSON_UNWRITABLE]" in result.stderr
    assert str(out) in result.stderr
    assert "read ..." not in result.stderr
