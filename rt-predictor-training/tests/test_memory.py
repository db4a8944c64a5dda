"""Memory: a log that has no room is refused in one line, and less room means fewer jobs to fit on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from rt_predictor_core.sources.synthetic import write_parquet
from rt_predictor_formats.errors import Problem
from rt_predictor_training.cli import train
from rt_predictor_training.ingest import Intake, ingest
from rt_predictor_training.memory import FEWEST_TRAINED, GIB, PEAKS, fitting, guard, most_jobs
from rt_predictor_training.profiles import load_profile

STANDARD = load_profile("standard")


@given(st.floats(1.5, 64.0), st.floats(0.0, 1.0))
def test_what_is_allowed_fits(gib: float, share: float) -> None:
    profile = replace(STANDARD, memory_gib=gib)
    jobs = int(share * most_jobs(profile))
    allowed = fitting(profile, jobs)
    kept = min(jobs, allowed.train_jobs + 2 * profile.folds.most_jobs)
    assert FEWEST_TRAINED <= allowed.train_jobs <= profile.train_jobs
    for peak in PEAKS:
        assert peak.base + peak.per_job * jobs + peak.per_kept * kept <= gib * GIB * (1.0 + 1e-6)


def test_eleven_million_jobs_fit_the_everyday_profile() -> None:
    assert most_jobs(STANDARD) > 11_000_000
    assert fitting(STANDARD, 11_000_000) == STANDARD


def test_the_guard_lets_pass_what_has_room() -> None:
    check = guard(STANDARD, "log")
    check(most_jobs(STANDARD))
    with pytest.raises(Problem, match="LOG_TOO_LARGE"):
        check(most_jobs(STANDARD) + 1)


def test_a_log_without_room_is_refused_with_the_remedy(tmp_path: Path) -> None:
    log, models = tmp_path / "log.parquet", tmp_path / "models"
    write_parquet(log, 3000, 1)
    arguments = ["--data", str(log), "--models", str(models), "--profile", "quick", "--memory", "0.84"]
    result = CliRunner().invoke(train, arguments)
    assert result.exit_code == 1
    assert "LOG_TOO_LARGE" in result.output
    assert "--sample-size" in result.output
    assert not models.exists()


@pytest.mark.parametrize("jobs", [250, 1000, 2999, 5000])
def test_the_newest_jobs_are_the_same_however_a_log_is_read(tmp_path: Path, jobs: int) -> None:
    log = tmp_path / "log.parquet"
    write_parquet(log, 3000, 1)
    whole = ingest(Intake([log], chunk_rows=5000), lambda *_: None)
    held: list[int] = []
    some = ingest(Intake([log], chunk_rows=100, sample_size=jobs, guard=held.append), lambda *_: None)
    newest = slice(max(0, len(whole) - jobs), len(whole))
    np.testing.assert_array_equal(some.events.identity, whole.events.identity[newest])
    np.testing.assert_array_equal(some.requests.texts, whole.requests.texts[newest])
    assert max(held) <= 2 * jobs + 200
