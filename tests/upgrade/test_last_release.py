"""The last release, out of its tag, publishes, learns and backs up; this one goes on from there."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from rt_predictor_api import restore
from rt_predictor_api.settings import read
from rt_predictor_api.stores import JOURNAL
from rt_predictor_core.artifact.load import load, newest, versions
from rt_predictor_core.artifact.manifest import FORMAT, NAME
from rt_predictor_core.features.table import FINGERPRINT
from rt_predictor_core.history.journal import Journal
from rt_predictor_formats.errors import Problem

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("rt-predictor-formats/src", "rt-predictor-core/src", "rt-predictor-api/src", "tests/fuzz")

LEAVE = """
import sys
from contextlib import closing
from pathlib import Path
import rt_predictor_core, small_model
from rt_predictor_core.history.events import Event
from rt_predictor_core.history.journal import Journal
folder, release = map(Path, sys.argv[1:])
for module in (rt_predictor_core, small_model):
    assert Path(module.__file__).is_relative_to(release), module.__file__
small_model.publish_small(folder / "models")
with closing(Journal(folder / "history/journal.sqlite3")) as journal:
    journal.append([Event("", str(n), n, n + 1, n + 100, "COMPLETED", {"user": "ada"}) for n in range(1, 51)])
"""
"""What a release does in a few seconds; training would take a minute to compile."""


def git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=False)


def last_release() -> str:
    """Return the newest release before this tree; where there is none, this tree's own commit stands for it."""
    if git("rev-parse", "--git-dir").returncode:
        pytest.skip("no git repository, so no former release")
    found = git("describe", "--tags", "--abbrev=0", "--match", "v*")
    return found.stdout.decode().strip() if found.returncode == 0 else "HEAD"


class Release:
    """The sources of a release, whose programs run with this environment's libraries."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        archive = git("archive", last_release(), *SOURCES)
        assert archive.returncode == 0, archive.stderr
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as opened:
            opened.extractall(folder, filter="data")

    def run(self, program: str, *arguments: str | Path) -> None:
        path = os.pathsep.join(str(self.folder / source) for source in SOURCES)
        done = subprocess.run(
            [sys.executable, "-c", program, *map(str, arguments)],
            env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=270,
        )
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return Release(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="module")
def kept(release: Release, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the release leaves: models, a history, and a backup where it has one."""
    folder = tmp_path_factory.mktemp("kept")
    release.run(LEAVE, folder, release.folder)
    if (release.folder / "rt-predictor-api/src/rt_predictor_api/backup.py").exists():
        folders = ("--models", folder / "models", "--history", folder / "history")
        release.run("from rt_predictor_api.main import main; main()", *folders, "backup", folder / "all.tar")
    return folder


def test_this_release_goes_on_from_what_the_last_one_left(kept: Path, tmp_path: Path) -> None:
    # one test: tests are shared out among processes, and each would let the release do its part
    check_models(kept / "models")
    with closing(Journal(kept / "history" / JOURNAL)) as journal:
        assert [entry.event.job_id for entry in journal.replay()] == [str(number) for number in range(1, 51)]
    if (kept / "all.tar").exists():
        there = read({"models": tmp_path / "models", "history": tmp_path / "history"})
        assert restore.read(kept / "all.tar", there).events == 50
        assert versions(tmp_path / "models") == versions(kept / "models")


def check_models(models: Path) -> None:
    """Do nothing where a model answers, or cannot and says what to do."""
    (version,) = versions(models)
    document = json.loads((models / version / NAME).read_text("utf-8"))
    if (document["format"], document["features"]) == (FORMAT, FINGERPRINT):
        assert newest(models).path.name == version
    else:
        with pytest.raises(Problem, match=r"train again.*ARTIFACT_F"):
            load(models / version)
