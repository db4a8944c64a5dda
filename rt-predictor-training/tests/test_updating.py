"""--update: the current model goes on from new jobs alone, and comes out as if it had read everything."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

import rt_predictor_training
from rt_predictor_core.artifact.files import HISTORY, TRAINING
from rt_predictor_core.artifact.load import newest
from rt_predictor_core.artifact.publish import publish
from rt_predictor_core.features.history import FEATURES
from rt_predictor_core.history.state import State
from rt_predictor_core.sources.synthetic import write_parquet
from rt_predictor_training.cli import train
from rt_predictor_training.course import Course
from rt_predictor_training.ingest import Intake, Jobs, ingest

GAP = timedelta(days=60)
"""A maintenance window: whatever was submitted before it has ended when the first job after it is submitted."""

JOBS, LATE = 3000, 600


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a log, its jobs before a gap, and those after it."""
    folder = tmp_path_factory.mktemp("logs")
    write_parquet(folder / "log.parquet", JOBS, 5)
    table = pq.read_table(folder / "log.parquet").sort_by("submit_time")
    early, late = table.slice(0, JOBS - LATE), table.slice(JOBS - LATE)
    for name in ("submit_time", "start_time", "end_time"):
        late = late.set_column(
            late.schema.get_field_index(name), name, pc.add(late[name], pa.scalar(GAP, pa.duration("ms")))
        )
    parts = {"early": early, "late": late, "both": pa.concat_tables([early, late.cast(early.schema)])}
    for name, part in parts.items():
        pq.write_table(part, folder / f"{name}.parquet")
    return {name: folder / f"{name}.parquet" for name in parts}


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    text = (Path(rt_predictor_training.__file__).parent / "profiles/quick.toml").read_text()
    for name, value in {"trees": 8, "threads": 1, "train_jobs": 1500}.items():
        text = re.sub(rf"^{name} = [^#\n]*", f"{name} = {value} ", text, flags=re.MULTILINE)
    path = tmp_path_factory.mktemp("profile") / "small.toml"
    path.write_text(text)
    return path


def command(data: Path, models: Path, profile: Path, *options: str) -> Result:
    return CliRunner().invoke(
        train, ["--data", str(data), "--models", str(models), "--profile", str(profile), *options]
    )


@pytest.fixture
def models(logs: dict[str, Path], profile: Path, tmp_path: Path) -> Path:
    """Return a folder with a model of the jobs before the gap."""
    done = command(logs["early"], tmp_path / "models", profile)
    assert done.exit_code == 0, done.output
    return tmp_path / "models"


@pytest.mark.parametrize("given_log", ["late", "both"])
def test_an_updated_model_is_the_model_of_the_whole_log(
    logs: dict[str, Path], profile: Path, models: Path, tmp_path: Path, given_log: str
) -> None:
    before = newest(models).manifest
    done = command(logs[given_log], models, profile, "--update")
    assert done.exit_code == 0, done.output
    assert command(logs["both"], tmp_path / "whole", profile).exit_code == 0
    updated, whole = newest(models), newest(tmp_path / "whole")
    assert updated.manifest.updated_from == before.version
    assert f"updated {before.version} with {LATE} jobs" in done.output
    for name in (HISTORY, TRAINING):
        ours, theirs = (dict(np.load(artifact.path / name)) for artifact in (updated, whole))
        assert ours.keys() == theirs.keys()
        for array in ours.keys() - {"facts.words"}:  # where the names of the files are
            np.testing.assert_array_equal(ours[array], theirs[array], err_msg=array)
    assert updated.manifest.scores == whole.manifest.scores
    assert updated.manifest.calibration == whole.manifest.calibration
    for name in ("jobs", "rejected", "first_submit", "last_submit", "known_from", "fold"):
        assert getattr(updated.manifest, name) == getattr(whole.manifest, name), name
    differing = {name for name, digest in updated.manifest.sha256.items() if whole.manifest.sha256[name] != digest} - {
        TRAINING
    }
    assert all(name.endswith(".cbm") for name in differing)  # CatBoost writes the time


def test_what_is_known_already_updates_nothing(logs: dict[str, Path], profile: Path, models: Path) -> None:
    before = newest(models).path
    done = command(logs["early"], models, profile, "--update")
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1].endswith("[NOTHING_NEW]")
    assert newest(models).path == before


def test_without_a_model_there_is_nothing_to_update(logs: dict[str, Path], profile: Path, tmp_path: Path) -> None:
    done = command(logs["early"], tmp_path, profile, "--update")
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1].endswith("[NO_MODEL]")


def test_a_model_that_kept_no_jobs_is_not_updated(
    logs: dict[str, Path], profile: Path, models: Path, tmp_path: Path
) -> None:
    """As one of a release before there were updates."""
    artifact = newest(models)
    files = {name: (artifact.path / name).read_bytes() for name in artifact.manifest.sha256 if name != TRAINING}
    publish(tmp_path / "older", replace(artifact.manifest, sha256={}), files)
    done = command(logs["late"], tmp_path / "older", profile, "--update")
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1].endswith("[NOT_UPDATABLE]")


def test_a_handful_of_new_jobs_is_enough(logs: dict[str, Path], profile: Path, models: Path, tmp_path: Path) -> None:
    pq.write_table(pq.read_table(logs["late"]).slice(0, 20), tmp_path / "few.parquet")
    done = command(tmp_path / "few.parquet", models, profile, "--update")
    assert done.exit_code == 0, done.output
    assert newest(models).manifest.jobs == JOBS - LATE + 20


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Jobs:
    path = tmp_path_factory.mktemp("log") / "log.parquet"
    write_parquet(path, 1500, 11)
    return ingest(Intake([path], chunk_rows=1000), lambda *_: None)


@settings(max_examples=25)
@given(share=st.floats(0.2, 0.95))
def test_wherever_a_log_is_cut_newer_jobs_see_what_they_would_have_seen(jobs: Jobs, share: float) -> None:
    """Cut by end, as sites export: running jobs are in the newer part, and no job's history knows what was to come."""
    moment = int(np.quantile(jobs.events.end[jobs.events.ran], share))
    over = np.where(jobs.events.end >= 0, jobs.events.end, jobs.events.submit)
    early = over <= moment
    state = State()
    older = Course.of(jobs.take(early), state)
    joined = older.followed_by(Course.of(jobs.take(~early), state))
    added = slice(len(older), len(joined))
    assert (joined.submit[added] >= older.facts.last_end).all()
    whole = Course.of(jobs, State())
    place = {identity: row for row, identity in enumerate(whole.events.identity.tolist())}
    rows = [place[identity] for identity in joined.events.identity[added].tolist()]
    same = np.isclose(whole.history.features[rows], joined.history.features[added], rtol=1e-4, equal_nan=True)
    waits = np.array([name.startswith("queued_") for name in FEATURES])
    assert same[:, ~waits].all()
    # what was withdrawn after the last end has left the queue already, for jobs that were submitted in between
    withdrawn = over[early & ~jobs.events.ran].max(initial=0)
    assert same[joined.submit[added] > withdrawn].all()
    facts, all_facts = joined.facts, whole.facts
    for name in ("jobs", "ran", "first_submit", "last_submit", "last_end"):
        assert getattr(facts, name) == getattr(all_facts, name), name
    assert sorted(facts.known.tolist()) == sorted(all_facts.known.tolist())
