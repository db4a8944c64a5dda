"""Data that a person put in place by hand arrives whole, and a Git LFS pointer is not taken for data."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts/copy_data.sh"
NAME = "eagle_data.parquet"
DATA = b"PAR1" + bytes(range(256)) * 40 + b"PAR1"
DIGEST = hashlib.sha256(DATA).hexdigest()


def pointer(content: bytes = DATA) -> str:
    digest = hashlib.sha256(content).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(content)}\n"


def run(*arguments: Path | str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SCRIPT, *arguments], capture_output=True, text=True, timeout=60, check=False)


def git(folder: Path, *arguments: str) -> None:
    identity = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    names = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    subprocess.run(
        ["git", "-C", folder, *names, *arguments], env=os.environ | identity, check=True, capture_output=True
    )


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "data" / "own.parquet"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A data file with a name of its own, of which no checksum is known."""
    path = tmp_path / "own.parquet"
    path.write_bytes(DATA)
    return path


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone as Git LFS makes it: a pointer is committed and the data lie in the working tree."""
    folder = tmp_path / "a clone"
    (folder / "raw").mkdir(parents=True)
    git(folder, "init", "-q")
    (folder / "raw" / NAME).write_text(pointer(), encoding="utf-8")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "data")
    (folder / "raw" / NAME).write_bytes(DATA)
    return folder


def test_a_file_arrives_with_its_checksum_beside_it_and_it_is_said_what_is_next(own: Path, target: Path) -> None:
    done = run(own, target.parent)
    assert done.returncode == 0, done.stderr
    assert target.read_bytes() == DATA
    assert target.with_name("own.parquet.sha256").read_text(encoding="utf-8") == f"{DIGEST}  own.parquet\n"
    assert f"copied; {len(DATA)} bytes, sha256 {DIGEST}, and nothing to compare it with" in done.stdout
    assert f"./quickstart.sh --data {target}" in done.stdout
    assert sorted(path.name for path in target.parent.iterdir()) == ["own.parquet", "own.parquet.sha256"]


def test_a_second_copy_keeps_what_is_there(own: Path, target: Path) -> None:
    run(own, target.parent)
    before = target.stat().st_ino, target.stat().st_mtime_ns
    again = run(own, target.parent)
    assert "is there already, kept" in again.stdout
    assert (target.stat().st_ino, target.stat().st_mtime_ns) == before


def test_a_file_that_lies_in_the_folder_already_gets_its_checksum(own: Path) -> None:
    assert "is there already, kept" in run(own, own.parent).stdout
    assert own.with_name("own.parquet.sha256").is_file()


def test_another_file_of_that_name_is_not_overwritten(own: Path, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(b"mine")
    done = run(own, target.parent)
    assert done.returncode == 1
    assert "differs" in done.stderr
    assert target.read_bytes() == b"mine"


def test_a_clone_is_searched_and_compared_with_its_pointer(clone: Path, target: Path) -> None:
    done = run(clone, target.parent)
    assert done.returncode == 0, done.stderr
    assert target.with_name(NAME).read_bytes() == DATA
    assert "as the Git LFS pointer of its clone says" in done.stdout


def test_data_that_differ_from_their_pointer_are_refused(clone: Path, target: Path) -> None:
    (clone / "raw" / NAME).write_bytes(DATA[:-100])
    done = run(clone / "raw", target.parent)
    assert done.returncode == 1
    assert f"the Git LFS pointer of its clone says {DIGEST}" in done.stderr
    assert not target.parent.exists()


def test_a_pointer_is_refused_with_the_command_that_brings_the_data(clone: Path, target: Path) -> None:
    (clone / "raw" / NAME).write_text(pointer(), encoding="utf-8")
    done = run(clone, target.parent)
    assert done.returncode == 1
    assert f"is a Git LFS pointer, the {len(DATA)} bytes it stands for are not here" in done.stderr
    assert f"git -C '{clone}/raw' lfs pull --include '*{NAME}'" in done.stderr
    assert not target.parent.exists()


def test_the_published_file_is_known_by_its_name_outside_of_a_clone(tmp_path: Path, target: Path) -> None:
    cut = tmp_path / NAME
    cut.write_bytes(DATA)
    done = run(cut, target.parent)
    assert done.returncode == 1
    assert "scripts/eagle_data.sha256 says 55d5b8d1bb74" in done.stderr


def test_a_copy_cut_short_by_a_full_disk_leaves_no_name(own: Path, target: Path, tmp_path: Path) -> None:
    # a cp that fails as on a full disk
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "cp").write_text(
        '#!/bin/sh\nhead -c 9 "$1" >"$2"\necho "cp: no space left" >&2\nexit 1\n', encoding="utf-8"
    )
    (programs / "cp").chmod(0o755)
    environment = os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run([SCRIPT, own, target.parent], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "cannot be copied" in done.stderr
    assert list(target.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (Path.exists, "not found or not readable"),
        (Path.touch, "is empty"),
        (Path.mkdir, "holds neither eagle_data.parquet nor eagle_data.csv.bz2"),
    ],
)
def test_what_is_no_data_is_refused_in_one_line(tmp_path: Path, target: Path, make: object, said: str) -> None:
    source = tmp_path / "some where"
    make(source)
    done = run(source, target.parent)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr


def test_two_files_of_that_name_are_named_and_neither_is_taken(clone: Path, target: Path) -> None:
    shutil.copytree(clone / "raw", clone / "other")
    done = run(clone, target.parent)
    assert done.returncode == 1
    assert f"{clone}/raw/{NAME}" in done.stderr
    assert f"{clone}/other/{NAME}" in done.stderr


def test_without_a_source_it_explains_itself() -> None:
    done = run()
    assert done.returncode == 2
    assert "scripts/copy_data.sh SOURCE [FOLDER]" in done.stdout
