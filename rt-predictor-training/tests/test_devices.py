"""--device: tried before the log is read, with an answer that says what is missing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from rt_predictor_formats.errors import Problem
from rt_predictor_training import devices
from rt_predictor_training.cli import train
from rt_predictor_training.devices import ON_CUDA, on_device
from rt_predictor_training.profiles import load_profile

with_gpu = pytest.mark.skipif(shutil.which("nvidia-smi") is None, reason="no NVIDIA driver on this machine")
without_gpu = pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="this machine has an NVIDIA driver")


def test_on_the_cpu_a_profile_stays_as_it_is() -> None:
    profile = load_profile("quick")
    assert on_device(profile, "cpu") == (profile, ())


@without_gpu
def test_without_a_gpu_each_library_says_why_and_nothing_is_read(tmp_path: Path) -> None:
    missing = tmp_path / "missing.parquet"
    done = CliRunner().invoke(train, ["--data", str(missing), "--models", str(tmp_path / "models"), "--device", "cuda"])
    assert done.exit_code == 1
    (line,) = done.stderr.splitlines()
    assert line.endswith("[DEVICE_UNAVAILABLE]")
    assert all(f"{name}: " in line for name in ON_CUDA)
    assert not (tmp_path / "models").exists()


@without_gpu
def test_a_library_that_cannot_stays_on_the_cpu_with_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(devices._PROBES, "xgboost", lambda *_: None)  # type: ignore[index]
    profile, notes = on_device(load_profile("quick"), "cuda")
    assert profile.members["xgboost"]["device"] == "cuda"
    assert "device_type" not in profile.members["lightgbm"]
    assert [note.split()[0] for note in notes] == ["lightgbm", "catboost"]


@with_gpu
def test_with_a_gpu_at_least_one_library_trains_on_it(tmp_path: Path) -> None:
    from rt_predictor_core.artifact.load import newest
    from rt_predictor_core.sources.synthetic import write_parquet

    write_parquet(tmp_path / "log.parquet", 2000, 5)
    options = ["--data", str(tmp_path / "log.parquet"), "--models", str(tmp_path / "models"), "--profile", "quick"]
    try:
        on_device(load_profile("quick"), "cuda")
    except Problem as problem:
        pytest.skip(str(problem))
    done = CliRunner().invoke(train, [*options, "--device", "cuda"])
    assert done.exit_code == 0, done.output
    assert newest(tmp_path / "models").manifest.jobs
