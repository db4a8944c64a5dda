"""What ``make lint`` says of a contract that breaks the last release's."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUF = Path(sys.executable).parent / "buf"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with the contract, released, and the check that stands in ``make lint``."""
    if shutil.which("git") is None:
        pytest.skip("git is not here")
    if not BUF.exists():
        pytest.skip("buf is not in this environment")
    shutil.copytree(ROOT / "proto", tmp_path / "proto", ignore=shutil.ignore_patterns("src", "__pycache__"))
    lint = (ROOT / "scripts/lint.sh").read_text("utf-8")
    # the check alone, without what it is listed with
    functions = lint[: lint.index('check "ruff check"')]
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts/lint.sh").write_text(f"{functions}\nbin={BUF.parent}\nbreaking\n", "utf-8")
    git(tmp_path, "init", "-q", "-b", "main")
    commit(tmp_path)
    git(tmp_path, "tag", "v0.1.0")
    return tmp_path


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
    )


def commit(folder: Path) -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", "change")


def breaking(folder: Path) -> tuple[int, str]:
    done = subprocess.run(["bash", folder / "scripts/lint.sh"], capture_output=True, text=True, check=False, cwd=folder)
    return done.returncode, done.stdout + done.stderr


def edit(folder: Path, pattern: str, by: str) -> None:
    path = folder / "proto/rtpredictor/v1/job.proto"
    text, count = re.subn(pattern, by, path.read_text("utf-8"), count=1, flags=re.MULTILINE)
    assert count == 1
    path.write_text(text, "utf-8")


def test_a_field_that_is_taken_away_is_found_however_long_ago_the_release_was(repository: Path) -> None:
    edit(repository, r"^  string user = \d+[^;]*;", "")
    commit(repository)
    commit(repository)
    status, said = breaking(repository)
    assert "comparing with v0.1.0" in said
    assert status != 0
    assert '"user"' in said


def test_a_field_that_is_added_is_none(repository: Path) -> None:
    edit(repository, r"^message Job \{", "message Job {\n  string added_later = 999;")
    assert breaking(repository) == (0, "comparing with v0.1.0\n")


def test_without_a_release_a_branch_is_compared_with_where_it_began(repository: Path) -> None:
    git(repository, "tag", "-d", "v0.1.0")
    git(repository, "branch", "change")
    edit(repository, r"^message Job \{", "message Job {\n  string added_later = 999;")
    commit(repository)
    git(repository, "checkout", "-q", "change")
    commit(repository)
    status, said = breaking(repository)
    assert status == 0, "what came to the main branch since was not deleted here: " + said
    edit(repository, r"^  string user = \d+[^;]*;", "")
    assert breaking(repository)[0] != 0
