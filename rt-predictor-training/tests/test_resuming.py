"""A run that was killed goes on from what it had finished, and from nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import rt_predictor_training
from rt_predictor_core.artifact.load import newest
from rt_predictor_core.artifact.manifest import Manifest
from rt_predictor_core.sources.synthetic import write_parquet
from rt_predictor_training import preparing
from rt_predictor_training.cli import train
from rt_predictor_training.members import MEMBERS
from rt_predictor_training.members.member import Fold, Task
from rt_predictor_training.packing import packed_member, unpacked_member
from rt_predictor_training.progress import Bars
from rt_predictor_training.shelf import Shelf
from rt_predictor_training.stages import Stages
from rt_predictor_training.train import STAGES


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log") / "log.parquet"
    write_parquet(path, 3000, 5)
    return path


def written(path: Path, **changes: str) -> Path:
    """Write a small profile whose members are fitted twice, with changed values."""
    text = (Path(rt_predictor_training.__file__).parent / "profiles/quick.toml").read_text()
    for name, value in {"trees": "8", "refit": "true", "threads": "1", **changes}.items():
        text = re.sub(rf"^{name} = [^#\n]*", f"{name} = {value} ", text, flags=re.MULTILINE)
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("profile") / "small.toml")


@pytest.fixture(scope="module")
def whole(log: Path, profile: Path, tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Return the manifest of a run that nothing interrupted."""
    models = tmp_path_factory.mktemp("whole")
    trained(log, models, profile)
    manifest = newest(models).manifest
    assert manifest.resumed == ()
    return manifest


def trained(log: Path, models: Path, profile: Path) -> str:
    """Train in this process and return what was printed."""
    arguments = ["--data", str(log), "--models", str(models), "--profile", str(profile)]
    done = CliRunner().invoke(train, arguments)
    assert done.exit_code == 0, done.output
    return done.output


def killed(log: Path, models: Path, profile: Path, finished: int) -> list[str]:
    """Train in a process of its own, kill it once so many pieces of work are kept, and return their names."""
    command = [sys.executable, "-c", "from rt_predictor_training.cli import train; train()"]
    options = ["--data", str(log), "--models", str(models), "--profile", str(profile)]
    deadline = time.monotonic() + 120
    with subprocess.Popen([*command, *options], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        while len(kept(models)) < finished:
            assert process.poll() is None, "the run was over before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.kill()
    assert not [path for path in models.iterdir() if path.name != STAGES]
    return kept(models)


def kept(models: Path) -> list[str]:
    return sorted(path.name.partition("-")[0] for path in (models / STAGES).glob("*.npz"))


def contents(manifest: Manifest) -> dict[str, str]:
    """Return the hashes of everything that is learnt, by file; CatBoost writes the time into its own."""
    return {name: digest for name, digest in manifest.sha256.items() if not name.endswith(".cbm")}


@pytest.mark.parametrize("finished", [2, 6])
def test_a_killed_run_goes_on_and_comes_out_the_same(
    log: Path, profile: Path, whole: Manifest, tmp_path: Path, finished: int
) -> None:
    there = killed(log, tmp_path, profile, finished)
    output = trained(log, tmp_path, profile)
    manifest = newest(tmp_path).manifest
    taken = list(manifest.resumed)
    assert set(there) - {"read"} <= set(taken)
    assert len(taken) >= finished - 1
    assert f"taken from an interrupted run: {', '.join(taken)}" in output
    assert contents(manifest) == contents(whole)
    assert manifest.scores == whole.scores
    assert not (tmp_path / STAGES).exists()


def test_a_log_that_was_read_is_not_read_again(
    log: Path, profile: Path, whole: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(preparing, "course_of", interrupted)
        CliRunner().invoke(train, ["--data", str(log), "--models", str(tmp_path), "--profile", str(profile)])
    assert kept(tmp_path) == ["read"]
    monkeypatch.setattr(preparing, "ingest", interrupted)
    trained(log, tmp_path, profile)
    assert newest(tmp_path).manifest.resumed == ("read",)
    assert contents(newest(tmp_path).manifest) == contents(whole)


def test_another_log_takes_nothing(log: Path, profile: Path, tmp_path: Path) -> None:
    killed(log, tmp_path, profile, 3)
    other = tmp_path / "other.parquet"
    write_parquet(other, 3000, 6)
    trained(other, tmp_path, profile)
    assert newest(tmp_path).manifest.resumed == ()


def test_a_changed_member_is_fitted_again_and_the_others_are_not(log: Path, profile: Path, tmp_path: Path) -> None:
    killed(log, tmp_path, profile, 5)
    trained(log, tmp_path, written(tmp_path / "changed.toml", border_count="32"))
    taken = newest(tmp_path).manifest.resumed
    assert "catboost" not in taken
    assert {"features", "xgboost", "lightgbm"} <= set(taken)


def test_damaged_work_is_done_again(log: Path, profile: Path, whole: Manifest, tmp_path: Path) -> None:
    killed(log, tmp_path, profile, 4)
    for path in (tmp_path / STAGES).glob("*.npz"):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0xFF
        path.write_bytes(content[:-1])
    trained(log, tmp_path, profile)
    manifest = newest(tmp_path).manifest
    assert manifest.resumed == ()
    assert contents(manifest) == contents(whole)


def test_without_room_for_finished_work_training_goes_on_and_says_so(
    log: Path, profile: Path, whole: Manifest, tmp_path: Path
) -> None:
    (tmp_path / STAGES).write_text("in the way")
    output = trained(log, tmp_path, profile)
    assert "an interrupted run would begin anew" in output
    assert contents(newest(tmp_path).manifest) == contents(whole)


def test_what_runs_on_other_logs_had_finished_does_not_pile_up(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / STAGES)
    shelf.save("read-one", {"jobs": np.arange(3)})
    stages = Stages(Bars(), shelf)
    stages.begins("read", "one")
    assert shelf.finished() == 1
    stages.begins("read", "another")
    assert shelf.finished() == 0


def test_what_is_kept_of_a_member_is_the_member() -> None:
    random = np.random.default_rng(1)
    x, y = random.random((400, 3)).astype(np.float32), random.random(400)
    task = Task(Fold(x, y), (0.05, 0.5, 0.95), 4, {}, 1, 7, lambda: None)
    for name, fit in MEMBERS.items():
        fitted = fit(task)
        again = unpacked_member(packed_member(fitted))
        np.testing.assert_array_equal(again.forest.evaluate(x), fitted.forest.evaluate(x))
        assert (again.name, again.library_version, again.shape) == (name, fitted.library_version, fitted.shape)
        assert again.native == fitted.native
