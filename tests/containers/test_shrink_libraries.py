"""Libraries that are made smaller for the images do what they did."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts/image/shrink_libraries.py"
ELF = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="libraries of other systems have other formats")

TRAINED = """
import catboost, numpy
generator = numpy.random.default_rng(7)
rows = generator.normal(size=(2_000, 5))
target = rows[:, 0] + rows[:, 1] ** 2
model = catboost.CatBoostRegressor(
    iterations=20, loss_function="MultiQuantile:alpha=0.1,0.5,0.9", random_seed=7, thread_count=1, verbose=0,
    allow_writing_files=False,
)
print(catboost.__file__)
print(model.fit(rows, target).predict(rows).tobytes().hex())
"""


def library(package: str) -> Path:
    """Return the folder of an installed package."""
    found = importlib.util.find_spec(package)
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent


def run_with(folder: Path, code: str) -> list[str]:
    """Return what code prints that finds the packages of a folder first."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (done.returncode, done.stderr)
    return done.stdout.splitlines()


def shrink(folder: Path) -> None:
    subprocess.run([sys.executable, SCRIPT, folder], check=True, capture_output=True)


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*.so*"))


@ELF
def test_catboost_without_code_for_gpus_trains_the_same_model(tmp_path: Path) -> None:
    shutil.copytree(library("catboost"), tmp_path / "catboost")
    before = size(tmp_path)
    shrink(tmp_path)
    where, model = run_with(tmp_path, TRAINED)
    assert where.startswith(str(tmp_path))
    assert size(tmp_path) < before
    assert model == run_with(tmp_path / "none", TRAINED)[1]


@ELF
def test_what_is_mapped_stays_and_a_second_time_changes_nothing(tmp_path: Path) -> None:
    shutil.copytree(library("pyarrow"), tmp_path / "pyarrow")
    before = size(tmp_path)
    shrink(tmp_path)
    after = size(tmp_path)
    assert after < before
    assert run_with(tmp_path, "import pyarrow; print(pyarrow.table({'a': [1, 2]}).num_rows)") == ["2"]
    shrink(tmp_path)
    assert size(tmp_path) == after


@ELF
def test_a_file_that_is_no_library_and_the_installers_copy_are_left_alone(tmp_path: Path) -> None:
    kept = tmp_path / "cache" / f"lib{EXTENSION_SUFFIXES[0]}"
    kept.parent.mkdir()
    shutil.copy(next(library("numpy").rglob("_multiarray_umath*.so")), kept)
    before = kept.read_bytes()
    environment = tmp_path / "environment"
    environment.mkdir()
    (environment / kept.name).hardlink_to(kept)
    (environment / "text.so").write_text("no library", encoding="utf-8")
    shrink(environment)
    assert (environment / kept.name).stat().st_size < len(before)
    assert kept.read_bytes() == before
    assert (environment / "text.so").read_text(encoding="utf-8") == "no library"
