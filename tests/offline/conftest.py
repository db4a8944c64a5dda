"""One bundle for all tests of this folder: it takes a minute to make."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from made import made, run


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with a trained model, its checksum beside it."""
    return made(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="session")
def bundle(archive: Path) -> Path:
    """The same, unpacked."""
    said = run("sha256sum", "--check", f"{archive.name}.sha256", cwd=archive.parent)
    assert said.returncode == 0, said.stderr
    with tarfile.open(archive) as opened:
        opened.extractall(archive.parent / "there")  # noqa: S202 # our own; the argument that makes it safe is not in each 3.11
    (unpacked,) = (archive.parent / "there").iterdir()
    return unpacked
