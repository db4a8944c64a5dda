"""What the Dockerfiles say: the same for every engine, pinned, without root, and complete."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILES = sorted(ROOT.glob("rt-predictor-*/Dockerfile"))
EVERY_IMAGE = pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)


def lines(path: Path) -> list[str]:
    """Return the instructions, each in one line."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(path: Path) -> set[str]:
    return {canonical(name) for name in re.findall(r"^([\w.-]+)==", path.read_text(encoding="utf-8"), re.MULTILINE)}


def asked_for(package: str, *, ingest: bool) -> set[str]:
    """Return what a package of ours asks for, maybe with the extra ``ingest``, but for packages of ours."""
    project = tomllib.loads((ROOT / package / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = project["dependencies"] + (project.get("optional-dependencies", {}).get("ingest", []) if ingest else [])
    names = {canonical(found[0]) for one in wanted if (found := re.match(r"[\w.-]+", one))}
    return {name for name in names if not name.startswith("rt-predictor")}


@EVERY_IMAGE
def test_the_libraries_of_its_packages_are_pinned_for_an_image(path: Path) -> None:
    text = " ".join(lines(path))
    files = re.findall(r"-r (requirements/\w+\.txt)", text.partition("scripts/image")[2])
    known = set().union(*(pinned(ROOT / name) for name in files))
    packages = re.findall(r"^COPY (proto|rt-predictor-\w+) ", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert packages
    wanted = set().union(*(asked_for(package, ingest="rt-predictor-training" in packages) for package in packages))
    assert wanted
    assert wanted - known == set()


@EVERY_IMAGE
def test_an_image_installs_nothing_without_its_hash(path: Path) -> None:
    installs = re.findall(r"pip install ([^&]*)", " ".join(lines(path)))
    assert len(installs) >= 3
    assert [one for one in installs if "--require-hashes" not in one and "--no-deps" not in one] == []


@EVERY_IMAGE
def test_an_image_can_be_built_by_an_engine_without_buildkit(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "--mount" not in text
    assert "# syntax" not in text
    assert "<<" not in text


@EVERY_IMAGE
def test_an_image_takes_what_it_needs_of_one_pinned_base(path: Path) -> None:
    first, *rest = lines(path)
    assert re.fullmatch(r"ARG PYTHON=python:3\.\d+-slim-\w+", first)
    stages = [line for line in rest if line.startswith("FROM ")]
    assert stages == ["FROM ${PYTHON} AS build", "FROM scratch"]


@EVERY_IMAGE
def test_an_image_runs_its_program_itself_without_root(path: Path) -> None:
    said = dict(line.split(" ", 1) for line in lines(path))
    assert said["USER"] == "10001:10001"
    assert said["STOPSIGNAL"] == "SIGTERM"
    assert json.loads(said["ENTRYPOINT"]), "a shell would keep signals to itself"
    assert 'image.title="' in said["LABEL"]


def test_the_image_of_the_api_has_the_nginx_that_it_starts() -> None:
    text = " ".join(lines(ROOT / "rt-predictor-api/Dockerfile"))
    program, root = (
        text.index("cp /usr/sbin/nginx /opt/rt-predictor/bin/nginx"),
        text.index("scripts/image/root.sh /opt"),
    )
    assert program < root, "its libraries are looked for afterwards"
    assert "RT_PREDICTOR_NGINX=true" in text


def test_the_context_is_what_the_images_take() -> None:
    kept = {
        line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line.startswith("!")
    }
    taken = {
        word.partition("/")[0] if "scripts" not in word else word
        for path in DOCKERFILES
        for line in lines(path)
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    }
    assert {name for name in taken if not name.startswith("rt-predictor-")} == kept - {"rt-predictor-*"}
